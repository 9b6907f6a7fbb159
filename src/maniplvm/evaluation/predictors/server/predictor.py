"""A predictor that asks a model behind an OpenAI-compatible server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.predictors.server.chat import ChatReply
from maniplvm.evaluation.predictors.server.connection import Connection, shown_url
from maniplvm.evaluation.predictors.server.errors import AttemptError, Remedy
from maniplvm.evaluation.predictors.server.family import ServedFamily, served_family
from maniplvm.evaluation.predictors.server.rate_limit import Pace
from maniplvm.evaluation.predictors.server.requests import Asking
from maniplvm.evaluation.predictors.server.retry_policy import Asker, Patience
from maniplvm.evaluation.predictors.server.worker_pool import Crew
from maniplvm.geometry import Frame
from maniplvm.models import Decoding
from maniplvm.tasks import Sample, Task

CONCURRENCY = 8
"""Questions under way at once, unless told otherwise."""

_MOST_NAMES = 8


@dataclass(frozen=True)
class _Question:
    sample: Sample
    draw: int


@dataclass(frozen=True)
class _Failure:
    question: _Question
    trouble: AttemptError


_Outcome = Prediction | _Failure


class ServerPredictor:
    """A model behind any server that speaks OpenAI's chat completions.

    Every draw is a request of its own. Passing trouble is waited out; an answer, however odd, is
    taken as it is. What was answered comes out of `predict` before an error does.
    """

    def __init__(
        self,
        model: str,
        server: str,
        decoding: Decoding | None = None,
        *,
        draws: int = 1,
        seed: int = 0,
        family: str | None = None,
        max_pixels: int | None = None,
        concurrency: int = CONCURRENCY,
        per_minute: float | None = None,
        patience: Patience | None = None,
        key_variable: str | None = None,
        extra: Mapping[str, Any] | None = None,
        notice: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Name a served model; nothing is sent yet.

        Args:
            model: What the server calls it.
            server: The server's base URL, such as `http://127.0.0.1:8000/v1`.
            decoding: Greedy if None.
            draws: Completions of each sample.
            seed: Of sampled completions, as far as the server heeds seeds.
            family: How it is asked and answers; None reads that from its name (see
                `served_family`).
            max_pixels: The largest area that it sees [px squared]: larger images are made
                smaller before they are sent. None sends all as they are.
            concurrency: Questions under way at once.
            per_minute: Questions a minute at most; None does not limit them.
            patience: How long to wait, and how often to ask again.
            key_variable: As in `Connection`.
            extra: Further fields of every request, such as `top_k`; None takes a field away.
            notice: Told about trouble that is waited out.

        Raises:
            UserError: no usable URL, no known family, or a bad number.
        """
        if draws < 1 or concurrency < 1 or seed < 0:
            raise UserError("--draws and --concurrency must be at least 1 and --seed at least 0")
        if per_minute is not None and per_minute <= 0:
            raise UserError("--requests-per-minute must be above 0")
        decoding = decoding or Decoding()
        if draws > 1 and not decoding.temperature:
            raise UserError(f"{draws} greedy draws would all be the same; set a --temperature")
        self.family: ServedFamily = served_family(model, family)
        self._asking = Asking(model, self.family.family, decoding, max_pixels, dict(extra or {}))
        self._server, self._key_variable = server, key_variable
        shown_url(server)
        self._draws, self._seed = draws, seed
        self._concurrency, self._per_minute = concurrency, per_minute
        self._patience = patience or Patience()
        self._notice = notice
        self._known: frozenset[tuple[str, int]] = frozenset()

    @property
    def name(self) -> str:
        """What the server calls the model."""
        return self._asking.model

    @property
    def server(self) -> str:
        """The server's address, which holds no key."""
        return shown_url(self._server)

    @property
    def draws(self) -> int:
        """Completions of each sample."""
        return self._draws

    @property
    def settings(self) -> Mapping[str, Any]:
        """Decoding, family and frame. Not the server's address: it may move between two calls."""
        asking, decoding = self._asking, self._asking.decoding
        drawn = {"top_p": decoding.top_p, "seed": self._seed} if decoding.temperature else {}
        return {
            "served": True,
            "temperature": decoding.temperature,
            "draws": self._draws,
            **drawn,
            "max_new_tokens": decoding.max_new_tokens,
            "family": asking.family.name,
            "frame": asking.declared_frame,
            **({} if asking.max_pixels is None else {"max_pixels": asking.max_pixels}),
            **({"extra": asking.extra} if asking.extra else {}),
        }

    def leave_out(self, known: Collection[tuple[str, int]]) -> None:
        """Ask none of these again; by sample and draw."""
        self._known = frozenset(known)

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Answer samples, several at once.

        Raises:
            UserError: the server cannot be used, too many questions in a row were not answered,
                or some were not at the end. It says how many answers there are.
        """
        pace = Pace(self._per_minute)
        with closing(self._connect()) as connection:
            asker = Asker(connection, self._patience, pace, self._notice)
            crew: Crew[_Question, _Outcome] = Crew(
                lambda question: self._outcome(asker, question), self._concurrency
            )
            try:
                yield from self._predictions(crew, self._questions(samples), pace, connection)
            finally:
                pace.stop()
                crew.dismiss()

    def answer(
        self, instruction: str, task: Task, image: bytes, size: tuple[int, int]
    ) -> tuple[str, Frame]:
        """Ask one thing about one image.

        Args:
            instruction: What the robot is told to do.
            task: What is asked for.
            image: The encoded image, upright.
            size: Its `(width, height)` [px].

        Returns:
            The completion, and the frame in which it speaks.

        Raises:
            UserError: no answer.
        """
        where = "the image"
        body = self._asking.body(instruction, task, image, size, where, self._seed)
        with closing(self._connect()) as connection:
            asker = Asker(connection, self._patience, Pace(self._per_minute), self._notice)
            try:
                reply = asker.ask(where, body)
            except AttemptError as trouble:
                raise UserError(self._told(trouble, connection)) from trouble
        return reply.text, self._asking.frame(size, where)

    def _connect(self) -> Connection:
        return Connection(
            self._server,
            key_variable=self._key_variable,
            timeout_s=self._patience.timeout_s,
            connect_timeout_s=self._patience.connect_timeout_s,
            connections=self._concurrency,
        )

    def _questions(self, samples: Iterable[Sample]) -> Iterator[_Question]:
        for sample in samples:
            for draw in range(self._draws):
                if (sample.id, draw) not in self._known:
                    yield _Question(sample, draw)

    def _predictions(
        self,
        crew: Crew[_Question, _Outcome],
        questions: Iterator[_Question],
        pace: Pace,
        connection: Connection,
    ) -> Iterator[Prediction]:
        failures: list[_Failure] = []
        answered, in_a_row, stopped = 0, 0, False
        try:
            for outcome in crew.answers(questions):
                if isinstance(outcome, Prediction):
                    answered, in_a_row = answered + 1, 0
                    yield outcome
                    continue
                failures.append(outcome)
                in_a_row += 1
                stopped = in_a_row == self._patience.give_up_after
                if stopped or outcome.trouble.remedy is Remedy.STOP:
                    break
        except KeyboardInterrupt:
            yield from _answers(crew.arrived())
            raise
        except UserError:  # the samples ended early; what is under way is still worth waiting for
            yield from _answers(crew.rest())
            raise
        if failures:
            pace.stop()
            for prediction in _answers(crew.rest()):
                answered += 1
                yield prediction
            self._give_up(failures, answered, stopped, connection)

    def _outcome(self, asker: Asker, question: _Question) -> _Outcome:
        """The answer to one question, or why there is none."""
        sample, draw = question.sample, question.draw
        where = f"sample {sample.id}"
        if sample.image is None:
            detail = "it has no image; import the data again, or choose other samples"
            return _Failure(question, AttemptError(detail, Remedy.LEAVE_QUESTION))
        try:
            body = self._asking.body(
                sample.instruction,
                sample.task,
                sample.image,
                sample.image_size,
                where,
                _draw_seed(self._seed, sample.id, draw),
            )
            reply = asker.ask(f"{sample.id}/{draw}", body)
        except UserError as error:
            return _Failure(question, AttemptError(str(error), Remedy.LEAVE_QUESTION))
        except AttemptError as trouble:
            return _Failure(question, trouble)
        return self._prediction(question, reply)

    def _prediction(self, question: _Question, reply: ChatReply) -> Prediction:
        return Prediction(
            question.sample.id,
            reply.text,
            self._asking.declared_frame,
            question.draw,
            tokens=reply.completion_tokens,
            prompt_tokens=reply.prompt_tokens,
            finish=reply.finish,
        )

    def _give_up(
        self, failures: list[_Failure], answered: int, in_a_row: bool, connection: Connection
    ) -> None:
        """The one line that ends an incomplete evaluation.

        Raises:
            UserError: always.
        """
        last = failures[-1]
        safe = f"{answered + len(self._known)} answers are safe; the same command asks the rest"
        told = self._told(last.trouble, connection)
        if last.trouble.remedy is Remedy.STOP:
            raise UserError(f"{told}; {safe}")
        number = f"{len(failures)} questions {'in a row ' if in_a_row else ''}were not answered"
        raise UserError(f"{number}, the last for sample {last.question.sample.id}: {told}; {safe}")

    def _told(self, trouble: AttemptError, connection: Connection) -> str:
        """AttemptError with the server's address, and with the models that it has if ours is unknown."""
        models = connection.served()[:_MOST_NAMES] if trouble.status == 404 else []
        others = f"; it serves {', '.join(models)}" if models else ""
        return f"{connection.shown}, model {self.name}: {trouble.message}{others}"


def _answers(outcomes: Iterator[_Outcome]) -> Iterator[Prediction]:
    return (outcome for outcome in outcomes if isinstance(outcome, Prediction))


def _draw_seed(seed: int, id: str, draw: int) -> int:
    """A seed of this draw's own, below 2^31."""
    digest = hashlib.sha256(f"{seed}/{draw}/{id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
