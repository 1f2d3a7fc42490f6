//! Reader, parser threads, collector: blocks are parsed on all cores and collected in their order.
//!
//! Every block travels with a channel of its own for its result, and these channels are queued in the blocks' order. So
//! the collector waits for the right one, and the length of that queue bounds what is in memory. An input of one block,
//! as most HTTP bodies are, is parsed where it is, and so is one that may have one thread only. Each parser thread has a
//! parser of its own, which keeps what it has allocated from block to block.

use std::iter;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::block::Block;

/// Runs the pipeline to the input's end, to the first error, or until `collect` fails. `parser` makes a parser for each
/// thread.
///
/// # Errors
/// The first error of the input or of `collect`, in the input's order.
pub(crate) fn run<E, I, P, F>(
    mut blocks: impl Iterator<Item = Result<Block, I>> + Send,
    threads: usize,
    parser: impl Fn() -> F + Sync,
    mut collect: impl FnMut(Block, P) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<I>,
    I: Send,
    P: Send,
    F: FnMut(&Block) -> P,
{
    let Some(first) = blocks.next() else { return Ok(()) };
    let first = first?;
    let Some(second) = blocks.next() else {
        let parsed = parser()(&first);
        return collect(first, parsed);
    };
    let blocks = iter::once(Ok(first)).chain(iter::once(second)).chain(blocks);
    if threads > 1 {
        return run_parallel(blocks, threads, &parser, &mut collect);
    }
    let mut parse = parser();
    for block in blocks {
        let block = block?;
        let parsed = parse(&block);
        collect(block, parsed)?;
    }
    Ok(())
}

struct Job<P> {
    block: Block,
    done: Sender<(Block, P)>,
}

fn run_parallel<E, I, P, F>(
    blocks: impl Iterator<Item = Result<Block, I>> + Send,
    threads: usize,
    parser: &(impl Fn() -> F + Sync),
    collect: &mut impl FnMut(Block, P) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<I>,
    I: Send,
    P: Send,
    F: FnMut(&Block) -> P,
{
    thread::scope(|scope| {
        let (job_in, jobs) = bounded::<Job<P>>(threads);
        let (order_in, order) = bounded::<Result<Receiver<(Block, P)>, I>>(2 * threads);
        scope.spawn(move || read(blocks, &job_in, &order_in));
        for _ in 0..threads {
            let jobs = jobs.clone();
            scope.spawn(move || {
                let mut parse = parser();
                for Job { block, done } in jobs {
                    let parsed = parse(&block);
                    // Nobody waits for the result where the collector has failed.
                    done.send((block, parsed)).ok();
                }
            });
        }
        drop(jobs);
        for next in order {
            // A parser that panicked has dropped its sender; the scope passes the panic on.
            let Ok((block, parsed)) = next?.recv() else { break };
            collect(block, parsed)?;
        }
        Ok(())
    })
}

/// Hands out blocks until the input ends or the collector is gone.
fn read<I, P>(
    blocks: impl Iterator<Item = Result<Block, I>>,
    jobs: &Sender<Job<P>>,
    order: &Sender<Result<Receiver<(Block, P)>, I>>,
) {
    for block in blocks {
        let sent = match block {
            Ok(block) => {
                let (done, result) = bounded(1);
                order.send(Ok(result)).is_ok() && jobs.send(Job { block, done }).is_ok()
            }
            Err(error) => order.send(Err(error)).is_ok(),
        };
        if !sent {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Cut;
    use crate::lines::LineBlocks;

    fn block(number: u64) -> Block {
        Block { bytes: number.to_string().into_bytes().into(), end: number, cut: Cut::Lines, headed: None }
    }

    #[test]
    fn results_keep_the_order_of_the_blocks() {
        let expected: Vec<(u64, usize)> = (0..200).map(|number| (number, number.to_string().len())).collect();
        for threads in [1, 4] {
            let mut ends = Vec::new();
            let blocks = (0..200).map(|number| Ok::<_, String>(block(number)));
            let collect = |block: Block, length: usize| {
                ends.push((block.end, length));
                Ok::<_, String>(())
            };
            run(blocks, threads, || |block: &Block| block.bytes.len(), collect).unwrap();
            assert_eq!(ends, expected, "{threads} threads");
        }
    }

    #[test]
    fn a_failing_input_ends_the_run_after_the_blocks_before_it() {
        for threads in [1, 2] {
            let mut collected = 0;
            let blocks = (0..10).map(|number| if number == 7 { Err("broken") } else { Ok(block(number)) });
            let collect = |_, ()| {
                collected += 1;
                Ok::<_, &str>(())
            };
            let outcome = run(blocks, threads, || |_: &Block| (), collect);
            assert_eq!((outcome, collected), (Err("broken"), 7), "{threads} threads");
        }
    }

    #[test]
    fn a_failing_collector_stops_an_input_without_end() {
        for threads in [1, 2] {
            let endless = LineBlocks::new(std::io::repeat(b'\n'), 0, 1024, 64);
            let full = |_, ()| Err::<(), _>(std::io::Error::other("full"));
            let outcome = run(endless, threads, || |_: &Block| (), full);
            assert_eq!(outcome.unwrap_err().to_string(), "full", "{threads} threads");
        }
    }
}
