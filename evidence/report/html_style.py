"""The style sheet of the HTML report: light, dark, print, phone."""

STYLE = """
:root{--ink:#17222d;--quiet:#52606d;--paper:#fbfaf7;--panel:#fff;--line:#dcdfe3;--good:#116b45;
--bad:#b3261e;--open:#8a5a00;--s1:#1663a8;--s2:#b3541e;--s3:#5b3f9e;--halt:#9aa5b1;--wash:#eef1f4}
@media (prefers-color-scheme:dark){:root{--ink:#e7ecf1;--quiet:#a5b1bd;--paper:#10161c;
--panel:#182028;--line:#2e3a46;--good:#5fd3a0;--bad:#ff8f85;--open:#f0bf5a;--s1:#6db6f5;
--s2:#f2a06b;--s3:#b9a2f2;--halt:#5a6773;--wash:#1f2933}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
overflow-wrap:anywhere}
header.top,main,footer{max-width:62rem;margin:0 auto;padding:1rem 1.25rem}
header.top{border-top:.4rem solid var(--tone);padding-top:1.5rem}
.good{--tone:var(--good)}.bad{--tone:var(--bad)}.open{--tone:var(--open)}
.kicker{margin:0;color:var(--quiet);letter-spacing:.04em}
h1{margin:.2rem 0 .6rem;font-size:clamp(2rem,7vw,3rem);line-height:1.1}
h2{font-size:1.35rem;margin:2.2rem 0 .6rem}h3{font-size:1.05rem;margin:0 0 .3rem}
p{margin:.3rem 0}ul{margin:.4rem 0;padding-left:1.2rem}
.badge{color:var(--tone)}.badge.small{font-size:.9rem;border:1px solid currentColor;
border-radius:.3rem;padding:.05rem .4rem;margin-left:.3rem}
.quiet,figcaption{color:var(--quiet)}.hash{font-size:.8rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem;
margin:1rem 0}
.card{background:var(--panel);border:1px solid var(--line);border-left:.3rem solid var(--tone);
border-radius:.4rem;padding:.8rem 1rem}
.card p,.card li{font-size:.92rem}.card p{color:var(--quiet)}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.5rem;
margin:1rem 0}
.tiles div{background:var(--wash);border-radius:.4rem;padding:.5rem .7rem}
.tiles dt{color:var(--quiet);font-size:.85rem}
.tiles dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
figure{margin:1.4rem 0;background:var(--panel);border:1px solid var(--line);border-radius:.4rem;
padding:.8rem}
figcaption{font-size:.95rem;margin-bottom:.4rem}svg{display:block;width:100%;height:auto}
svg text{fill:var(--quiet);font:11px system-ui,sans-serif}
svg .grid{stroke:var(--line)}svg .line{fill:none;stroke-width:1.6}
svg .limit{stroke:var(--bad);stroke-dasharray:5 4}svg .limit-name{fill:var(--bad)}
svg .series-1{stroke:var(--s1)}svg .series-2{stroke:var(--s2);stroke-dasharray:7 3}
svg .series-3{stroke:var(--s3);stroke-dasharray:2 3}
svg .bar{fill:var(--s1)}svg .session{fill:var(--s1);opacity:.35}
svg .state-active{fill:var(--good);opacity:.45}svg .state-reducing{fill:var(--open);opacity:.5}
svg .state-halted{fill:var(--halt);opacity:.5}svg .mark{fill:var(--bad)}
svg .band-name{fill:var(--ink)}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.9rem}
.key{display:inline-block;width:1.6rem;border-top:3px solid var(--s1);vertical-align:middle;
margin-right:.4rem}.key-2{border-color:var(--s2);border-top-style:dashed}
.key-3{border-color:var(--s3);border-top-style:dotted}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:.35rem 1.2rem;
margin:.8rem 0 0}.facts dt{color:var(--quiet);font-size:.82rem}
.facts dd{margin:0;font:.85rem ui-monospace,monospace}
.tiles a{color:inherit;text-decoration-color:var(--quiet)}
svg .zero{stroke:var(--quiet)}svg .bought{fill:var(--good)}svg .sold{fill:var(--bad)}
svg .bar-1{fill:var(--s1)}svg .bar-2{fill:var(--s2)}svg .bar-3{fill:var(--s3)}
svg .bar-4{fill:var(--halt)}.up{color:var(--good)}.down{color:var(--bad)}
.key-4{border-color:var(--halt)}
.long .scroll{max-height:30rem;overflow:auto}.rows td{white-space:nowrap}
input{font:inherit;color:var(--ink);background:var(--panel);border:1px solid var(--quiet);
border-radius:.3rem;padding:.2rem .5rem;max-width:100%}
.sign{border:1px solid var(--line);border-radius:.4rem;padding:.2rem 1rem 1rem;
background:var(--panel);margin-top:2rem}.sign h2{margin-top:.8rem}.sign dl{display:grid;
grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:1.2rem 2rem;margin:1rem 0 0}
.sign dt{color:var(--quiet);font-size:.85rem}.sign dd{margin:0;height:2rem;
border-bottom:1px solid var(--ink)}
.scroll{overflow-x:auto;margin:1.2rem 0}
table{overflow-wrap:normal;border-collapse:collapse;width:100%;font-size:.92rem;
font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.2rem 0 .4rem}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
thead th{color:var(--quiet);font-weight:500}tbody th{font-weight:500;min-width:8rem}
td{min-width:3.5rem}
:focus-visible{outline:3px solid var(--s1);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--panel);
padding:.4rem .8rem}
footer{color:var(--quiet);border-top:1px solid var(--line);margin-top:2rem}
footer h2{font-size:1rem;margin:.5rem 0}
@media (max-width:40rem){svg text{font-size:19px}svg .line{stroke-width:2.6}}
@media print{:root{--ink:#000;--quiet:#333;--paper:#fff;--panel:#fff;--line:#bbb;--good:#0b4d31;
--bad:#8c1d18;--open:#664300;--s1:#0b4a82;--s2:#7d3a14;--s3:#3e2a70;--halt:#999;--wash:#f3f3f3}
body{font-size:10.5pt}.skip{display:none}figure,.card,tr{break-inside:avoid}
.scroll,.long .scroll{overflow:visible;max-height:none}
main,header.top,footer{max-width:none;padding-left:0;padding-right:0}}
"""
