//! Attention of one sequence: `cargo bench -p attar-kernels --bench attention [-- avx2 avx512-vnni …]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

#[path = "shared/machine.rs"]
mod machine;
mod shared;

use attar_kernels::{AttentionScratch, Buffer, Rows, RowsMut, Softmax, attention, attention_scores};

use machine::Machine;
use shared::{cpus, fastest, numbers};

/// Heads and their width.
const HEADS: [(usize, usize); 5] = [(12, 64), (12, 26), (12, 16), (12, 4), (6, 64)];

fn main() {
    for cpu in cpus() {
        let machine = Machine::measure(cpu);
        println!("tokens, heads x width: attention, counting its two products alone; scores alone");
        for (heads, width) in HEADS {
            for tokens in [8, 32, 128, 512] {
                println!("{}", line(&machine, tokens, heads, width));
            }
        }
    }
}

fn line(machine: &Machine, tokens: usize, heads: usize, width: usize) -> String {
    let hidden = heads * width;
    let qkv = numbers(tokens * 3 * hidden);
    let rows = Rows::new(&qkv, tokens, 3 * hidden, 3 * hidden);
    let (mut context, mut scores) =
        (Buffer::<f32>::zeros(tokens * hidden), Buffer::<f32>::zeros(heads * tokens * tokens));
    let [mut one, mut other] = [(); 2].map(|()| AttentionScratch::default());
    let [whole, first] = fastest([
        &mut || {
            let context = RowsMut::new(&mut context, tokens, hidden, hidden);
            attention(machine.cpu, rows, heads, 0..tokens, None, Softmax::Exact, context, &mut one);
        },
        &mut || attention_scores(machine.cpu, rows, heads, None, &mut scores, &mut other),
    ]);
    let product = (2 * tokens * tokens * hidden) as f64;
    format!(
        "{tokens:4}, {heads:2} x {width:2}: {:9.2} us {}; {}",
        whole * 1e6,
        machine.floats.share(2.0 * product, whole),
        machine.floats.share(product, first)
    )
}
