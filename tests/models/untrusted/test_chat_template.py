import pytest

from maniplvm.errors import UserError
from maniplvm.models import load_interface

LOOPS = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        (LOOPS, "takes more than"),
        ("{{ 'a' * 10**12 }}", "takes more than"),
        ("{% for i in range(10**9) %}a{% endfor %}", "it fails (Range too big"),
        ("{% for i in range(99999) %}{{ messages }}{% endfor %}", "writes more than"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "it fails"),
        ("{% include '/etc/passwd' %}", "it fails"),
        ("{% for %}", "it fails"),
        ("hello\x1b[2J", "leaves out the prompt and writes 'hello␛[2J'"),
    ],
)
def test_a_hostile_template_is_refused_by_name(copied, template, cause):
    folder = copied()
    for old in folder.glob("chat_template*"):
        old.unlink()
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(UserError) as caught:
        load_interface(folder)
    assert f"{folder}: its chat template cannot be used: " in str(caught.value)
    assert cause in str(caught.value)


def test_a_template_with_a_file_of_another_encoding_is_one_line(copied):
    folder = copied()
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe{{")
    with pytest.raises(UserError, match="its processor cannot be loaded"):
        load_interface(folder)
