//! How a page looks.

/// The style of the page, without that of its charts.
///
/// Dark colors are for screens alone; on paper nothing is cut by a page's end that fits on one.
pub(crate) const PAGE: &str = "\
:root{color-scheme:light dark;--page:#fff;--text:#1b1b1b;--faint:#555;--line:#d9d9d9;--box:#f5f6f7;--link:#005a9c;--heat:0,114,178}
@media screen and (prefers-color-scheme:dark){:root{--page:#16181c;--text:#ececec;--faint:#b5b5b5;--line:#3a3e45;--box:#202329;--link:#8cc8ff;--heat:86,180,233}}
@media print{:root{color-scheme:light}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
header,main,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.4rem;margin:3rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line);overflow-wrap:anywhere}
h3{font-size:1.1rem;margin:2rem 0 .4rem;overflow-wrap:anywhere}
h4{font-size:1rem;margin:1.5rem 0 .4rem}
p{max-width:46rem;margin:.5rem 0;overflow-wrap:anywhere}
.lead{font-size:1.12rem}
.note{color:var(--faint)}
a{color:var(--link)}
nav ul{list-style:none;padding:0;margin:1rem 0;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.2rem 0 .4rem;white-space:normal}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
thead th{border-bottom:2px solid var(--line);vertical-align:bottom}
tbody th{font-weight:500;white-space:nowrap}
tbody th.t{white-space:normal}
td.n,th.n{text-align:right}
td.n{white-space:nowrap}
td.t,th.t{min-width:14rem;max-width:34rem;overflow-wrap:anywhere}
td.h{text-align:center;background:rgba(var(--heat),var(--a,0))}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1.2rem;margin:.8rem 0}
.figures.wide{display:block}
figure{margin:0}
figcaption{font-size:.92rem;font-weight:600;margin-bottom:.3rem}
.figures.wide .scroll .attar-chart{min-width:36rem}
pre{background:var(--box);padding:1rem;overflow-x:auto;font-size:.85rem;line-height:1.4;border-radius:4px}
footer{margin-top:3rem;padding-bottom:3rem;color:var(--faint);font-size:.9rem}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
@media print{
body{font-size:10pt}nav{display:none}.scroll{overflow:visible}.figures.wide .scroll .attar-chart{min-width:0}
pre{overflow:visible;white-space:pre-wrap}h2,h3,h4{break-after:avoid}figure,tr,.left-out{break-inside:avoid}thead{display:table-header-group}
table{font-size:8pt}td,th{padding:.15rem .35rem}td.t,th.t{min-width:0}td.n{white-space:normal}td.h{print-color-adjust:exact}.figures{grid-template-columns:repeat(2,1fr)}
}
";
