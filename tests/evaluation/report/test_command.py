"""`maniplvm report` writes the page, and reports errors before the work."""

import typer
from typer.testing import CliRunner

from maniplvm.cli.report import report
from maniplvm.errors import UserError

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(report)


def call(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "300"})


def test_the_page_is_written_to_the_given_path(folders, tmp_path):
    out = tmp_path / "report.html"
    result = call(
        "--before", folders.before, "--after", folders.after, "--data", folders.data, "--out", out
    )
    assert result.exit_code == 0, result.exception
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "report.html" in result.stdout


def test_an_output_that_cannot_be_written_is_an_error_before_the_work(folders, tmp_path):
    for out in (tmp_path, tmp_path / "no" / "report.html"):
        error = call("--after", "nothing", "--data", folders.data, "--out", out).exception
        assert isinstance(error, UserError)
        assert "cannot be written" in str(error)
