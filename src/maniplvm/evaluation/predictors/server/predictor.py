"""A predictor for a model behind an OpenAI-compatible server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.predictors.server.chat import ChatCompletion, RequestBuilder
from maniplvm.evaluation.predictors.server.connection import Connection, shown_url
from maniplvm.evaluation.predictors.server.errors import AttemptError, FailureAction
from maniplvm.evaluation.predictors.server.family import ServedFamily, served_family
from maniplvm.evaluation.predictors.server.retries import RateLimiter, RetryingClient, RetryPolicy
from maniplvm.evaluation.predictors.server.worker_pool import WorkerPool
from maniplvm.geometry import Frame
from maniplvm.models import Decoding
from maniplvm.tasks import Sample, Task

CONCURRENCY = 8
"""Default number of concurrent requests."""

_MAX_NAMES = 8


@dataclass(frozen=True)
class _Request:
    sample: Sample
    draw: int


@dataclass(frozen=True)
class _Failure:
    request: _Request
    error: AttemptError


_Result = Prediction | _Failure


class ServerPredictor:
    """A model behind any server with OpenAI's chat-completions interface.

    Every draw is one request. Transient failures are retried; every completion is taken as it is.
    `predict` yields all completions that arrived before it raises an error.
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
        retry_policy: RetryPolicy | None = None,
        key_variable: str | None = None,
        extra: Mapping[str, Any] | None = None,
        notice: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Set the model and the server; no request is sent yet.

        Args:
            model: The model's name on the server.
            server: The server's base URL, such as `http://127.0.0.1:8000/v1`.
            decoding: Greedy if None.
            draws: Completions of each sample.
            seed: Seed of sampled completions, if the server supports seeds.
            family: The model's family; None reads it from the name (see `served_family`).
            max_pixels: The largest image area [px squared]; larger images are resized before they
                are sent. None sends all images unchanged.
            concurrency: Number of concurrent requests.
            per_minute: Maximum number of requests per minute; None sets no limit.
            retry_policy: Timeouts and retries.
            key_variable: As in `Connection`.
            extra: Further fields of every request, such as `top_k`; None removes a field.
            notice: Called with a message about failures that are retried.

        Raises:
            UserError: an invalid URL, an unknown family, or a number outside its range.
        """
        if draws < 1 or concurrency < 1 or seed < 0:
            raise UserError("--draws and --concurrency must be at least 1 and --seed at least 0")
        if per_minute is not None and per_minute <= 0:
            raise UserError("--requests-per-minute must be above 0")
        decoding = decoding or Decoding()
        if draws > 1 and not decoding.temperature:
            raise UserError(f"{draws} greedy draws would be identical; set a --temperature")
        self.family: ServedFamily = served_family(model, family)
        self._builder = RequestBuilder(
            model, self.family.family, decoding, max_pixels, dict(extra or {})
        )
        self._server, self._key_variable = server, key_variable
        shown_url(server)
        self._draws, self._seed = draws, seed
        self._concurrency, self._per_minute = concurrency, per_minute
        self._policy = retry_policy or RetryPolicy()
        self._notice = notice
        self._completed: frozenset[tuple[str, int]] = frozenset()

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return self._builder.model

    @property
    def server(self) -> str:
        """The server's address, without a key."""
        return shown_url(self._server)

    @property
    def draws(self) -> int:
        """Completions of each sample."""
        return self._draws

    @property
    def settings(self) -> Mapping[str, Any]:
        """Decoding, family and frame; not the server's address, which may change between runs."""
        builder, decoding = self._builder, self._builder.decoding
        sampled = {"top_p": decoding.top_p, "seed": self._seed} if decoding.temperature else {}
        return {
            "served": True,
            "temperature": decoding.temperature,
            "draws": self._draws,
            **sampled,
            "max_new_tokens": decoding.max_new_tokens,
            "family": builder.family.name,
            "frame": builder.declared_frame,
            **({} if builder.max_pixels is None else {"max_pixels": builder.max_pixels}),
            **({"extra": builder.extra} if builder.extra else {}),
        }

    def skip_completed(self, keys: Collection[tuple[str, int]]) -> None:
        """Send no request for these pairs of sample id and draw."""
        self._completed = frozenset(keys)

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Complete samples, with several concurrent requests.

        Raises:
            UserError: the server cannot be used, too many requests in a row failed, or some
                requests failed at the end. The message gives the number of stored completions.
        """
        limiter = RateLimiter(self._per_minute)
        with closing(self._connect()) as connection:
            client = RetryingClient(connection, self._policy, limiter, self._notice)
            pool: WorkerPool[_Request, _Result] = WorkerPool(
                lambda request: self._send(client, request), self._concurrency
            )
            try:
                yield from self._predictions(pool, self._requests(samples), limiter, connection)
            finally:
                limiter.stop()
                pool.shutdown()

    def answer(
        self, instruction: str, task: Task, image: bytes, size: tuple[int, int]
    ) -> tuple[str, Frame]:
        """Complete one prompt about one image.

        Args:
            instruction: The robot's instruction.
            task: The task.
            image: The encoded image, upright.
            size: Its `(width, height)` [px].

        Returns:
            The completion, and the coordinate frame of its numbers.

        Raises:
            UserError: the request failed.
        """
        where = "the image"
        body = self._builder.body(instruction, task, image, size, where, self._seed)
        with closing(self._connect()) as connection:
            limiter = RateLimiter(self._per_minute)
            client = RetryingClient(connection, self._policy, limiter, self._notice)
            try:
                completion = client.complete(where, body)
            except AttemptError as error:
                raise UserError(self._describe(error, connection)) from error
        return completion.text, self._builder.frame(size, where)

    def _connect(self) -> Connection:
        return Connection(
            self._server,
            key_variable=self._key_variable,
            timeout_s=self._policy.timeout_s,
            connect_timeout_s=self._policy.connect_timeout_s,
        )

    def _requests(self, samples: Iterable[Sample]) -> Iterator[_Request]:
        for sample in samples:
            for draw in range(self._draws):
                if (sample.id, draw) not in self._completed:
                    yield _Request(sample, draw)

    def _predictions(
        self,
        pool: WorkerPool[_Request, _Result],
        requests: Iterator[_Request],
        limiter: RateLimiter,
        connection: Connection,
    ) -> Iterator[Prediction]:
        failures: list[_Failure] = []
        completed, in_a_row, stopped, has_warned = 0, 0, False, False
        try:
            for result in pool.map(requests):
                if isinstance(result, Prediction):
                    completed, in_a_row = completed + 1, 0
                    if not has_warned and _holds_only_reasoning(result):
                        has_warned = True
                        self._notice(
                            f"sample {result.id}: the server returned reasoning and no answer; if "
                            "the model does not reason, start the server without a reasoning parser"
                        )
                    yield result
                    continue
                if result.error.cancelled:
                    continue
                failures.append(result)
                in_a_row += 1
                stopped = in_a_row == self._policy.max_consecutive_failures
                if stopped or result.error.action is FailureAction.STOP:
                    break
        except KeyboardInterrupt:
            yield from _only_predictions(pool.ready())
            raise
        except UserError:  # reading the samples failed; pending requests are still completed
            yield from _only_predictions(pool.drain())
            raise
        if failures:
            limiter.stop()
            for prediction in _only_predictions(pool.drain()):
                completed += 1
                yield prediction
            self._raise_incomplete(failures, completed, stopped, connection)

    def _send(self, client: RetryingClient, request: _Request) -> _Result:
        """The completion of one request, or its failure."""
        sample, draw = request.sample, request.draw
        where = f"sample {sample.id}"
        if sample.image is None:
            detail = "it has no image; import the data again, or choose other samples"
            return _Failure(request, AttemptError(detail, FailureAction.SKIP_REQUEST))
        try:
            body = self._builder.body(
                sample.instruction,
                sample.task,
                sample.image,
                sample.image_size,
                where,
                _draw_seed(self._seed, sample.id, draw),
            )
            completion = client.complete(f"{sample.id}/{draw}", body)
        except UserError as error:
            return _Failure(request, AttemptError(str(error), FailureAction.SKIP_REQUEST))
        except AttemptError as error:
            return _Failure(request, error)
        return self._prediction(request, completion)

    def _prediction(self, request: _Request, completion: ChatCompletion) -> Prediction:
        return Prediction(
            request.sample.id,
            completion.text,
            self._builder.declared_frame,
            request.draw,
            tokens=completion.completion_tokens,
            prompt_tokens=completion.prompt_tokens,
            finish=completion.finish,
        )

    def _raise_incomplete(
        self, failures: list[_Failure], completed: int, in_a_row: bool, connection: Connection
    ) -> None:
        """End an incomplete evaluation with one line.

        Raises:
            UserError: always.
        """
        last = failures[-1]
        stored = completed + len(self._completed)
        advice = f"{stored} completions are stored; run the same command again for the rest"
        reason = self._describe(last.error, connection)
        if last.error.action is FailureAction.STOP:
            raise UserError(f"{reason}; {advice}")
        number = f"{len(failures)} requests {'in a row ' if in_a_row else ''}failed"
        raise UserError(
            f"{number}, the last for sample {last.request.sample.id}: {reason}; {advice}"
        )

    def _describe(self, error: AttemptError, connection: Connection) -> str:
        """The error with the server's address; an unknown model also lists those served."""
        models = connection.model_names()[:_MAX_NAMES] if error.status == 404 else []
        served = f"; it serves {', '.join(models)}" if models else ""
        return f"{connection.shown}, model {self.name}: {error.message}{served}"


def _holds_only_reasoning(prediction: Prediction) -> bool:
    """Whether a completion that was not cut off ends with its reasoning."""
    is_complete = prediction.finish not in ("length", "content_filter")
    return is_complete and prediction.text.rstrip().endswith("</think>")


def _only_predictions(results: Iterator[_Result]) -> Iterator[Prediction]:
    return (result for result in results if isinstance(result, Prediction))


def _draw_seed(seed: int, id: str, draw: int) -> int:
    """The seed of one draw, below 2^31."""
    digest = hashlib.sha256(f"{seed}/{draw}/{id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
