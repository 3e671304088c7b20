//! The page table entry's protocol: the token, the waiters, pins and releases.

use loom::sync::atomic::Ordering;
use loom::sync::Arc;
use loom::thread;
use models::every_order;
use models::page::{Access, Pte, State};
use models::pager::Page;

const OPEN: u64 = Pte::R | Pte::READ | Pte::WRITE | Pte::M;

/// A page with the bytes 7, after each of the `others` and this thread have done their part.
fn page_of(pte: Pte, others: &[fn(&Page)], own: fn(&Page)) -> Arc<Page> {
    let page = Arc::new(Page::new(pte, 7));
    let threads: Vec<_> = others
        .iter()
        .map(|part| {
            let (page, part) = (Arc::clone(&page), *part);
            thread::spawn(move || part(&page))
        })
        .collect();
    own(&page);
    for thread in threads {
        assert!(thread.join().is_ok());
    }
    page
}

/// Whoever pins the page sees its bytes until it unpins it.
fn read_pinned(page: &Page) {
    page.pin(Access::Read);
    assert_eq!(page.read(), 7);
    assert!(page.pte().pins() > 0);
    page.unpin();
}

#[test]
fn of_threads_that_touch_an_absent_page_one_fills_it() {
    every_order(2, || {
        let touch = |page: &Page| {
            page.fault(Access::Read);
            // Nobody evicts here: the program reads without a pin.
            assert_eq!(page.read(), 7);
        };
        let page = page_of(Pte::new(State::Swapped, 0, Pte::SLOT), &[touch, touch], touch);
        assert_eq!(page.fills.load(Ordering::Relaxed), 1);
        assert_eq!((page.read(), page.slots_used.load(Ordering::Relaxed)), (7, 1));
        assert!(!page.pte().has(Pte::WAITERS));
    });
}

#[test]
fn a_page_does_not_leave_while_it_is_pinned() {
    every_order(3, || {
        let page = page_of(Pte::new(State::Resident, 0, OPEN), &[Page::evict], read_pinned);
        assert_eq!(page.pte().pins(), 0);
    });
}

#[test]
fn pins_are_counted() {
    every_order(2, || {
        let evict: fn(&Page) = Page::evict;
        let page = page_of(Pte::new(State::Resident, 0, OPEN), &[evict, read_pinned], read_pinned);
        assert_eq!(page.pte().pins(), 0);
    });
}

#[test]
fn a_released_page_gives_its_frame_and_its_slot_back_once() {
    every_order(3, || {
        let page = page_of(Pte::new(State::Resident, 0, OPEN), &[Page::evict], Page::release);
        let kept = usize::from(page.pte().state() == State::Retained);
        assert!(matches!(page.pte().state(), State::Void | State::Retained), "{:?}", page.pte());
        assert_eq!(page.frames_freed.load(Ordering::Relaxed) + kept, 1);
        assert_eq!(page.slots_used.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_page_that_is_promised_again_is_there_or_zero() {
    every_order(3, || {
        let evict: fn(&Page) = Page::evict;
        let page = page_of(Pte::new(State::Retained, 0, OPEN), &[evict, evict], |page| {
            page.promise();
            page.pin(Access::Write);
            let bytes = page.read();
            assert!(bytes == 7 || bytes == 0, "{bytes:#x}");
            page.unpin();
        });
        assert!(page.frames_freed.load(Ordering::Relaxed) <= 2);
    });
}

#[test]
fn sampling_a_page_never_loses_that_it_is_dirty() {
    every_order(3, || {
        let clean = Pte::new(State::Resident, 0, Pte::R | Pte::READ);
        let sample: fn(&Page) = Page::take_referenced;
        let page = page_of(clean, &[sample], |page| page.fault(Access::Write));
        assert_eq!(page.pte().state(), State::Resident);
        assert!(page.pte().has(Pte::M) && !page.pte().has(Pte::WAITERS), "{:?}", page.pte());
    });
}

#[test]
fn sampling_a_page_keeps_its_pins() {
    every_order(2, || {
        let page = page_of(Pte::new(State::Resident, 0, OPEN), &[Page::take_referenced, read_pinned], read_pinned);
        assert_eq!(page.pte().pins(), 0);
    });
}

#[test]
fn a_page_that_becomes_dirty_keeps_its_pins_and_loses_them() {
    every_order(3, || {
        let clean = Pte::new(State::Resident, 0, Pte::R | Pte::READ);
        let store: fn(&Page) = |page| page.fault(Access::Write);
        let page = page_of(clean, &[store], read_pinned);
        assert_eq!((page.pte().pins(), page.pte().has(Pte::M)), (0, true));
    });
}

#[test]
fn sampling_and_pinning_and_eviction_at_once() {
    every_order(2, || {
        let sample: fn(&Page) = Page::take_referenced;
        let evict: fn(&Page) = Page::evict;
        let page = page_of(Pte::new(State::Resident, 0, OPEN), &[sample, evict], read_pinned);
        assert_eq!(page.pte().pins(), 0);
    });
}

#[test]
fn a_page_moves_with_its_bytes_and_who_touches_it_meanwhile_gets_on() {
    every_order(2, || {
        let to = Arc::new(Page::new(Pte::EMPTY, 0));
        let from = Arc::new(Page::new(Pte::new(State::Resident, 0, OPEN), 7));
        let toucher = {
            let from = Arc::clone(&from);
            thread::spawn(move || from.fault(Access::Write))
        };
        from.move_to(&to);
        assert!(toucher.join().is_ok());
        assert_eq!((to.pte().state(), to.read()), (State::Resident, 7));
        assert!(matches!(from.pte().state(), State::Empty | State::Resident), "{:?}", from.pte());
        assert!(!from.pte().has(Pte::WAITERS));
    });
}
