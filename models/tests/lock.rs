//! `lock.rs`: the futex mutex. 0 free, 1 held, 2 held and somebody may sleep.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use models::every_order;
use models::futex::Futex;

struct Lock {
    word: AtomicU32,
    futex: Futex,
    value: UnsafeCell<u32>,
}

impl Lock {
    /// `Lock::acquire`, which spins before it sleeps; that changes no order.
    fn acquire(&self) {
        if self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
        while self.word.swap(2, Ordering::Acquire) != 0 {
            self.futex.wait(|| self.word.load(Ordering::SeqCst) == 2);
        }
    }

    /// `Guard::drop`.
    fn release(&self) {
        if self.word.swap(0, Ordering::Release) == 2 {
            self.futex.wake_one();
        }
    }

    fn work(&self) {
        self.acquire();
        // SAFETY: loom checks that nobody else is here.
        self.value.with_mut(|value| unsafe { *value += 1 });
        self.release();
    }
}

fn threads(n: u32, rounds: u32) {
    let lock = Arc::new(Lock { word: AtomicU32::new(0), futex: Futex::default(), value: UnsafeCell::new(0) });
    let work = move |lock: &Lock| (0..rounds).for_each(|_| lock.work());
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
    assert_eq!(lock.value.with(|value| unsafe { *value }), n * rounds);
}

#[test]
fn two_threads_twice() {
    every_order(4, || threads(2, 2));
}

#[test]
fn three_threads() {
    every_order(3, || threads(3, 1));
}
