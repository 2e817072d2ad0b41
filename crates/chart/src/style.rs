//! The colors and dashes of all charts, in one place.

/// Series that can be told apart; later ones look like the last.
pub const SERIES: usize = 8;

/// The style of all charts: once in a page that has charts, or inside each file.
///
/// Dark colors are for screens alone, so paper stays white. Each color stands before its variable too, for programs that show SVG
/// and do not know variables.
pub const STYLE: &str = "\
.attar-chart{--paper:#fff;--ink:#1b1b1b;--soft:#555;--grid:#e4e4e4;--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;\
--s4:#e69f00;--s5:#56b4e9;--s6:#f0e442;--s7:#8a8a8a;--alarm:#b00020;\
font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;display:block;width:100%;height:auto}
@media screen and (prefers-color-scheme:dark){.attar-chart{--paper:#16181c;--ink:#ececec;--soft:#b5b5b5;--grid:#33373d;\
--s0:#56b4e9;--s1:#e69f00;--s2:#00b583;--s3:#cc79a7;--s4:#f0e442;--s5:#5c9fd6;--s6:#e8743b;--s7:#9a9a9a;--alarm:#ff6b6b}}
.attar-chart text{fill:#1b1b1b;fill:var(--ink)}
.attar-chart .soft{fill:#555;fill:var(--soft)}
.attar-chart .title{font-size:15px;font-weight:600}
.attar-chart .paper{fill:#fff;fill:var(--paper)}
.attar-chart .grid{stroke:#e4e4e4;stroke:var(--grid);fill:none}
.attar-chart .axis{stroke:#555;stroke:var(--soft);fill:none}
.attar-chart .rule{stroke:#1b1b1b;stroke:var(--ink);fill:none;stroke-dasharray:2 3}
.attar-chart .end{text-anchor:end}
.attar-chart .middle{text-anchor:middle}
.attar-chart .alarm{fill:#b00020;fill:var(--alarm);stroke:#b00020;stroke:var(--alarm)}
.attar-chart .shade{fill:#1b1b1b;fill:var(--ink);fill-opacity:.14}
.attar-chart .edge{stroke:#1b1b1b;stroke:var(--ink);fill:none;stroke-opacity:.8}
.attar-chart .line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.attar-chart .mark{stroke-width:1.5}
.attar-chart .band{stroke:none;fill-opacity:.16}
.attar-chart .block{stroke:#fff;stroke:var(--paper);stroke-width:.4}
.attar-chart .f0{fill:#0072b2;fill:var(--s0)}.attar-chart .f1{fill:#d55e00;fill:var(--s1)}.attar-chart .f2{fill:#009e73;fill:var(--s2)}.attar-chart .f3{fill:#cc79a7;fill:var(--s3)}
.attar-chart .f4{fill:#e69f00;fill:var(--s4)}.attar-chart .f5{fill:#56b4e9;fill:var(--s5)}.attar-chart .f6{fill:#f0e442;fill:var(--s6)}.attar-chart .f7{fill:#8a8a8a;fill:var(--s7)}
.attar-chart .l0{stroke:#0072b2;stroke:var(--s0)}.attar-chart .l1{stroke:#d55e00;stroke:var(--s1);stroke-dasharray:7 3}
.attar-chart .l2{stroke:#009e73;stroke:var(--s2);stroke-dasharray:2 3}.attar-chart .l3{stroke:#cc79a7;stroke:var(--s3);stroke-dasharray:8 3 2 3}
.attar-chart .l4{stroke:#e69f00;stroke:var(--s4);stroke-dasharray:12 3}.attar-chart .l5{stroke:#56b4e9;stroke:var(--s5);stroke-dasharray:4 4}
.attar-chart .l6{stroke:#f0e442;stroke:var(--s6);stroke-dasharray:1 2}.attar-chart .l7{stroke:#8a8a8a;stroke:var(--s7);stroke-dasharray:10 2 2 2 2 2}
.attar-chart .p0{stroke:#0072b2;stroke:var(--s0)}.attar-chart .p1{stroke:#d55e00;stroke:var(--s1)}.attar-chart .p2{stroke:#009e73;stroke:var(--s2)}.attar-chart .p3{stroke:#cc79a7;stroke:var(--s3)}
.attar-chart .p4{stroke:#e69f00;stroke:var(--s4)}.attar-chart .p5{stroke:#56b4e9;stroke:var(--s5)}.attar-chart .p6{stroke:#f0e442;stroke:var(--s6)}.attar-chart .p7{stroke:#8a8a8a;stroke:var(--s7)}
";

/// The number by which a series is drawn.
pub(crate) fn slot(series: usize) -> usize {
    series.min(SERIES - 1)
}
