import ast
import io
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from maniplvm.console import SafeConsole

PACKAGE = Path(__file__).parents[1] / "src" / "maniplvm"
HOSTILE = "\x1b]8;;https://x\x07[red]a[/b] :smile: \x9b31m\u202e"


def printed(renderable, **settings):
    file = io.StringIO()
    console = SafeConsole(file=file, width=200, **settings)
    console.print(renderable)
    return file.getvalue()


def table():
    made = Table(title=HOSTILE)
    made.add_column(HOSTILE)
    made.add_row(HOSTILE)
    return made


@pytest.mark.parametrize("renderable", [HOSTILE, Text(HOSTILE), table()])
def test_a_hostile_text_is_shown_and_gives_no_orders(renderable):
    shown = printed(renderable)
    assert "␛]8;;https://x[red]a[/b] :smile: �31m�" in shown
    # rich removes the bell itself
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


def test_styles_of_our_own_still_reach_a_terminal():
    shown = printed(Text("a\x1b[2Jb", style="bold"), force_terminal=True, color_system="standard")
    assert shown == "\x1b[1ma␛[2Jb\x1b[0m\n"


def test_a_status_and_a_rule_are_safe_too():
    file = io.StringIO()
    SafeConsole(file=file, width=80).rule("\x1b[2J[/red]")
    assert "␛[2J[/red]" in file.getvalue()


def test_all_commands_print_with_the_safe_console():
    calls = []
    for path in PACKAGE.rglob("*.py"):
        if path.name == "console.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                calls.append((node.func.id, str(path.relative_to(PACKAGE))))
    assert not [place for name, place in calls if name == "Console"]
    assert [name for name, _ in calls].count("SafeConsole") > 10
    assert {place for name, place in calls if name == "print"} <= {
        "cli/__init__.py",
        "experiments/pages/__main__.py",
    }
