"""A drawing shown node by node, forward and then backward, as a self-contained HTML fragment."""

from __future__ import annotations

from html import escape

from refgrad.draw.picture import Gate, Picture, Wire
from refgrad.draw.svg import svg

CSS = """
.refgrad-steps{margin:1.5em 0;font:15px/1.5 system-ui,sans-serif}
.refgrad-steps .paper{overflow-x:auto}
.refgrad-steps .bar{display:flex;flex-wrap:wrap;gap:.5em;align-items:baseline;margin:.5em 0}
.refgrad-steps .bar[hidden]{display:none}
.refgrad-steps button{font:inherit;color:inherit;background:none;border:1px solid;border-radius:6px;padding:.15em .8em;cursor:pointer}
.refgrad-steps button:disabled{opacity:.35;cursor:default}
.refgrad-steps [aria-live]{flex:1 1 20em;min-height:1.5em}
.refgrad-steps ol{margin:.3em 0;padding-left:2.4em}
.refgrad-steps summary{cursor:pointer;width:fit-content}
""".strip().replace("\n", "")

# Elements of later steps are hidden, those of the current step are emphasized. Without JavaScript the last step is shown.
SCRIPT = """
(()=>{const me=document.currentScript,f=me?me.parentElement:[...document.querySelectorAll('.refgrad-steps:not([data-on])')].pop();
f.dataset.on='';const says=[...f.querySelectorAll('li')].map(l=>l.textContent),last=says.length-1;
const bar=f.querySelector('.bar'),[first,back,next,end]=bar.querySelectorAll('button'),say=bar.querySelector('[aria-live]');let at=0;
const show=k=>{at=Math.max(0,Math.min(last,k));
f.querySelectorAll('[data-step]').forEach(e=>{const s=+e.dataset.step;e.classList.toggle('ahead',s>at)});
f.querySelectorAll('[data-acts]').forEach(e=>e.classList.toggle('now',e.dataset.acts.split(' ').includes(''+at)));
say.textContent=(at+1)+' of '+(last+1)+': '+says[at];first.disabled=back.disabled=at===0;next.disabled=end.disabled=at===last};
first.onclick=()=>show(0);back.onclick=()=>show(at-1);next.onclick=()=>show(at+1);end.onclick=()=>show(last);
f.addEventListener('keydown',e=>{const d={ArrowLeft:at-1,ArrowRight:at+1,Home:0,End:last}[e.key];
if(d!==undefined&&!e.target.closest('.paper')){e.preventDefault();show(d)}});bar.hidden=false;show(0)})()
""".strip()


def steps_html(picture: Picture) -> str:
    """The HTML fragment that shows a picture node by node."""
    gates, wires = picture.gates, picture.wires
    into: list[list[Wire]] = [[] for _ in gates]
    out: list[list[Wire]] = [[] for _ in gates]
    for w in wires:
        into[w.target].append(w)
        out[w.source].append(w)
    acts: list[list[int]] = [[] for _ in gates]
    words = ["the values of the inputs"]
    forward = [0] * len(gates)
    for n, g in enumerate(gates):
        if g.kind in {"op", "block"}:
            forward[n] = len(words)
            acts[n].append(len(words))
            words.append(f"forward, {_forward(g, into[n], out[n])}")
    backward = [len(words)] * len(gates)
    for n in range(len(gates) - 1, -1, -1):
        g = gates[n]
        if any(w.gradients for w in into[n]):
            backward[n] = len(words)
            acts[n].append(len(words))
            words.append(f"backward, {_backward(g, into[n], out[n])}")
    # A sum of gradients appears with its last contribution.
    summed = [max((backward[w.target] for w in out[n]), default=0) for n in range(len(gates))]

    def tag(kind: str, n: int) -> str:
        if kind == "gate":
            return f' data-acts="{" ".join(map(str, acts[n]))}"'
        return f' data-step="{({"value": forward, "gradient": backward, "total": summed}[kind])[n]}"'

    steps = "".join(f"<li>{escape(w)}</li>" for w in words)
    buttons = "".join(f'<button type="button">{name}</button>' for name in ("First", "Back", "Next", "Last"))
    return (
        f'<figure class="refgrad-steps"><style>{CSS}</style>\n<div class="paper" tabindex="0" role="group" aria-label="drawing">'
        f'{svg(picture, tag)}</div>\n<div class="bar" hidden>{buttons}<span aria-live="polite"></span></div>\n'
        f"<details><summary>All steps in words</summary><ol>{steps}</ol></details>\n<script>{SCRIPT}</script></figure>\n"
    )


def _forward(g: Gate, into: list[Wire], out: list[Wire]) -> str:
    operands = " and ".join(" ".join(w.above) for w in into if w.above)
    result = " ".join(out[0].above) if out else ""
    return f"{_name(g)}: from {operands} comes {result}" if operands and result else _name(g)


def _backward(g: Gate, into: list[Wire], out: list[Wire]) -> str:
    sent = " and ".join(w.words or " ".join(w.below) for w in into if w.gradients)
    if g.kind == "output":
        return f"output: it starts with {sent}"
    if g.total:
        received = " + ".join(" ".join(w.below) for w in out if w.gradients).replace("+ −", "− ")
        total = " ".join(g.total).removeprefix("Σ ").rpartition(" = ")[2]
        return f"{_name(g)}: {received} = {total} comes back, and {sent} is sent on"
    return f"{_name(g)}: {' '.join(out[0].below)} comes back, and {sent} is sent on"


def _name(g: Gate) -> str:
    return ", ".join(g.text)
