//! Many like pieces of work on a few threads: encoding files on all cores, and syncing them side by side, which takes the
//! disk little longer than syncing one.
//!
//! Threads of their own instead of a pool: the pieces wait for the disk, and a pool made for computing must not.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use crate::error::StorageError;

/// Does `work` to each item on at most so many threads; the results are in the items' order.
///
/// # Errors
/// With the first failure that is seen. Items nobody has begun by then are left.
pub(crate) fn fan_out<T, R>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> Result<R, StorageError> + Sync,
) -> Result<Vec<R>, StorageError>
where
    T: Send,
    R: Send,
{
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let one_after_the_other = || {
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            match work(item) {
                Ok(result) => done.push((place, result)),
                Err(error) => {
                    while next().is_some() {}
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let mut done = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one_after_the_other)).collect();
        let mut done = Vec::new();
        for thread in running {
            let panicked = |_| StorageError::Background("a thread has panicked".to_owned());
            done.extend(thread.join().map_err(panicked)??);
        }
        Ok::<_, StorageError>(done)
    })?;
    done.sort_unstable_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [0, 1, 2, 7] {
            let doubled = fan_out((0..100).collect(), threads, |number: u32| Ok(number * 2)).unwrap();
            assert_eq!(doubled, (0..100).map(|number| number * 2).collect::<Vec<_>>());
        }
        assert!(fan_out(Vec::<u32>::new(), 4, Ok).unwrap().is_empty());
    }

    #[test]
    fn a_failure_ends_it_and_leaves_the_rest() {
        let begun = AtomicUsize::new(0);
        let outcome = fan_out((0..10_000).collect(), 2, |number: u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            if number == 3 { Err(StorageError::Background("three".to_owned())) } else { Ok(()) }
        });
        assert_eq!(outcome.unwrap_err().to_string(), StorageError::Background("three".to_owned()).to_string());
        assert!(begun.into_inner() < 10_000);
    }
}
