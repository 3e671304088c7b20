//! `sync/lock.rs`: the futex mutex.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use models::every_order;
use models::sync::Lock;

/// A number, of which loom says when two threads are at it.
type Number = UnsafeCell<u32>;

fn work(lock: &Lock<Number>) {
    let value = lock.hold();
    // SAFETY: the lock is held; loom checks what that is worth.
    value.with_mut(|value| unsafe { *value += 1 });
}

fn threads(n: u32, rounds: u32) {
    let lock = Arc::new(Lock::new(Number::new(0)));
    let work = move |lock: &Lock<Number>| (0..rounds).for_each(|_| work(lock));
    let others: Vec<_> = (1..n)
        .map(|_| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || work(&lock))
        })
        .collect();
    work(&lock);
    for other in others {
        assert!(other.join().is_ok());
    }
    // SAFETY: the others have ended.
    assert_eq!(lock.hold().with(|value| unsafe { *value }), n * rounds);
}

#[test]
fn two_threads_twice() {
    every_order(4, || threads(2, 2));
}

#[test]
fn three_threads() {
    every_order(3, || threads(3, 1));
}
