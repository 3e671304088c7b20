//! The heap on simulated ground, against a map of blocks: whatever is asked and freed, blocks never
//! overlap, pages are promised exactly while a block touches them, what is said to be zero was not written, and in the end nothing is left.

use super::granules::{self, Granule};
use super::simulated::Simulated;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Not a multiple of a group.
const PAGES: u64 = 300;

#[derive(Clone, Debug)]
enum Step {
    Allocate(u64, u32),
    Free(usize),
    FreeFromAfar(usize),
    Resize(usize, u64),
    Collect,
    Flush,
}

/// Sizes of all kinds; or a few that come again and again, so that they get slabs.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any = prop_oneof![12 => 1u64..40, 6 => 30u64..600, 2 => 600u64..9000, 1 => 8000u64..30000].boxed();
    let few = (1u64..65, 1u64..20, 40u64..65).prop_flat_map(|(a, b, c)| {
        let size = prop_oneof![20 => Just(a), 10 => Just(b), 10 => Just(c), 1 => 1u64..1000].boxed();
        proptest::collection::vec(step(size), 1..1500)
    });
    prop_oneof![proptest::collection::vec(step(any), 1..400), few]
}

fn step(size: BoxedStrategy<u64>) -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (size.clone(), prop_oneof![8 => Just(0u32), 1 => 0u32..11]).prop_map(|(n, a)| Step::Allocate(n, a)),
        8 => any::<usize>().prop_map(Step::Free),
        2 => any::<usize>().prop_map(Step::FreeFromAfar),
        2 => (any::<usize>(), size).prop_map(|(i, n)| Step::Resize(i, n)),
        1 => Just(Step::Collect),
        1 => Just(Step::Flush),
    ]
}

/// What the page table says of slabs is what the granules say, and what the heap counts.
fn check_slabs(ground: &Simulated, heap: &Heap) {
    let (mut slabs, mut pages, mut held) = (0, 0, 0);
    for page in 0..ground.pages {
        let heads =
            (page * 256..(page + 1) * 256).filter(|at| matches!(granules::get(ground, *at), Granule::Live | Granule::Parked));
        let blocks: Vec<(u64, u64)> = heads.map(|at| (at, granules::inner_after(ground, at) + 1)).collect();
        match Heap::usage(ground, page) {
            Usage::Slab { class, used } => {
                let len = classes::short_len(usize::from(class));
                assert!(
                    blocks.iter().all(|(at, n)| *n == len && (at % 256).is_multiple_of(len)),
                    "{blocks:?} in a slab of {len}"
                );
                assert_eq!(used, blocks.len() as u64);
                assert!(used > 0, "an empty slab");
                slabs += 1;
            }
            Usage::Blocks(_) => {
                pages += 1;
                held += blocks.iter().map(|(_, n)| n).sum::<u64>();
            }
            _ => assert!(blocks.is_empty()),
        }
    }
    assert_eq!((heap.slabs.pages, heap.pages, heap.held), (slabs, pages, held));
}

fn empty_heap() -> Box<Heap> {
    // SAFETY-free: every field of a heap is a plain number, and the type says that zeros are valid.
    Box::new(Heap::EMPTY)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn blocks_never_overlap_and_nothing_is_lost(steps in steps(), budget in 40u64..PAGES) {
        let ground = Simulated::new(PAGES, budget);
        let mut heap = empty_heap();
        let mut blocks: BTreeMap<u64, u64> = BTreeMap::new();
        let mut noted = 0;
        let nth = |blocks: &BTreeMap<u64, u64>, i: usize| blocks.keys().nth(i.checked_rem(blocks.len()).unwrap_or(0)).copied();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Allocate(n, align) => {
                    if let Ok(block) = heap.allocate(&ground, n, 1 << align, false) {
                        let len = Heap::measure(&ground, block.start).expect("a fresh block");
                        prop_assert!(len >= n && block.start % (1 << align) == 0);
                        let before = blocks.range(..block.start).next_back().map_or(0, |(s, l)| s + l);
                        let after = blocks.range(block.start..).next().map_or(u64::MAX, |(s, _)| *s);
                        prop_assert!(before <= block.start && block.start + len <= after, "overlap");
                        prop_assert!(!block.zero || !ground.is_written(block.start, n), "not zero: {block:?}");
                        ground.write(block.start, len);
                        blocks.insert(block.start, len);
                    }
                }
                Step::Free(i) => if let Some(start) = nth(&blocks, i) {
                    prop_assert_eq!(heap.free(&ground, start), Ok(blocks.remove(&start).unwrap()));
                    prop_assert!(Heap::measure(&ground, start).is_err());
                },
                Step::FreeFromAfar(i) => if let Some(start) = nth(&blocks, i) {
                    let len = blocks[&start];
                    if !Heap::is_large(&ground, len) {
                        prop_assert_eq!(Heap::free_from_afar(&ground, start), Ok(len));
                        prop_assert_eq!(Heap::free_from_afar(&ground, start), Err(NotABlock::Freed));
                        blocks.remove(&start);
                        noted += 1;
                    }
                },
                Step::Resize(i, n) => if let Some(start) = nth(&blocks, i) {
                    let old = blocks[&start];
                    if heap.resize(&ground, start, old, n) {
                        let len = Heap::measure(&ground, start).expect("still a block");
                        prop_assert!(len >= n);
                        ground.write(start, len);
                        blocks.insert(start, len);
                    } else {
                        prop_assert_eq!(Heap::measure(&ground, start), Ok(old));
                    }
                },
                Step::Collect => {
                    let collected: u64 = (0..ground.backed_groups()).map(|g| heap.collect(&ground, g)).sum();
                    prop_assert_eq!(collected, noted);
                    noted = 0;
                }
                Step::Flush => heap.flush(&ground),
            }
            prop_assert_eq!(heap.live(), blocks.len() as u64 + noted);
            if number % 16 == 0 {
                check_slabs(&ground, &heap);
            }
            for (start, len) in &blocks {
                prop_assert_eq!(Heap::measure(&ground, *start), Ok(*len));
                prop_assert_eq!(Heap::block_around(&ground, start + len / 2), Some((*start, *len)));
                let promised = ground.promised.borrow();
                prop_assert!((start >> 8..=(start + len - 1) >> 8).all(|page| promised[page as usize]));
            }
        }
        (0..ground.backed_groups()).for_each(|group| { heap.collect(&ground, group); });
        for start in blocks.keys() {
            prop_assert!(heap.free(&ground, *start).is_ok());
        }
        heap.flush(&ground);
        prop_assert_eq!(heap.live(), 0);
        prop_assert!(ground.promised.borrow().iter().all(|p| !p), "a page is still promised");
        prop_assert!((0..PAGES * 256).all(|at| granules::get(&ground, at) == Granule::Free));
        // And all of the region can be had again, in one piece.
        if budget == PAGES {
            prop_assert!(heap.allocate(&ground, PAGES * 256, 1, false).is_ok());
        }
    }
}

#[test]
fn the_whole_region_can_be_one_block() {
    let ground = Simulated::new(PAGES, PAGES);
    let mut heap = empty_heap();
    let block = heap.allocate(&ground, PAGES * 256, 1, false).expect("room");
    assert_eq!(heap.allocate(&ground, 1, 1, false), Err(NoRoom::Region));
    assert!(heap.free(&ground, block.start).is_ok());
    assert!(heap.allocate(&ground, 1, 1, false).is_ok());
}

#[test]
fn small_requests_share_the_page_at_hand() {
    let ground = Simulated::new(PAGES, PAGES);
    let mut heap = empty_heap();
    let sizes = [1u64, 7, 2, 30, 5, 64 / 16];
    let pages: Vec<u64> = sizes.iter().map(|n| heap.allocate(&ground, *n, 1, false).expect("room").start >> 8).collect();
    assert!(pages.iter().all(|page| *page == 0), "{pages:?}");
}

/// Blocks of three kinds, of which those in use fill less than half of the region: none is refused, however
/// long it goes on. Small ones that settle between large ones would cut the room to pieces.
#[test]
fn small_blocks_leave_room_for_large_ones() {
    const REGION: u64 = 4608;
    let ground = Simulated::new(REGION, REGION);
    let mut heap = empty_heap();
    let mut state = 77777u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    // How many, the smallest and the largest, in granules.
    let kinds: [(u64, u64, u64); 3] = [(4096, 1, 32), (32, 32, 5152), (4, 40960, 81920)];
    let mut slots = kinds.map(|(count, _, _)| vec![None; count as usize + 1]);
    for step in 0..400_000 {
        let dice = random(1000);
        let kind = usize::from(dice >= 800) + usize::from(dice >= 980);
        let (count, least, most) = kinds[kind];
        let most = if kind == 0 && random(3) > 0 { 4 } else { most };
        let n = least + random(most - least + 1);
        let slot: &mut Option<u64> = &mut slots[kind][random(count + 1) as usize];
        let action = random(8);
        let old = *slot;
        let resized = |heap: &mut Heap, start| {
            let len = Heap::measure(&ground, start).expect("a live block");
            heap.resize(&ground, start, len, n)
        };
        match old {
            Some(_) if action >= 5 => continue,
            Some(start) if action >= 3 && resized(&mut heap, start) => continue,
            Some(_) if action < 3 => *slot = None,
            // As realloc does: the new block first.
            _ => {
                let block = heap.allocate(&ground, n, 1, false).or_else(|_| {
                    heap.flush(&ground);
                    heap.allocate(&ground, n, 1, false)
                });
                *slot = Some(block.unwrap_or_else(|error| panic!("step {step}: {error:?} for {n} granules")).start);
            }
        }
        if let Some(start) = old {
            heap.free(&ground, start).expect("a live block");
        }
    }
}

/// Long blocks that leave a rest of a page behind the last of them, short ones that fill the rest and go, and a
/// long one in their place: it is not said to be zero.
#[test]
fn what_short_blocks_have_written_is_not_taken_for_zero() {
    let mut state = 4711u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    for round in 0..2000 {
        let ground = Simulated::new(PAGES, PAGES);
        let mut heap = empty_heap();
        let ask = |heap: &mut Heap, n| {
            let block = heap.allocate(&ground, n, 1, false).expect("room");
            assert!(!block.zero || !ground.is_written(block.start, n), "round {round}: {block:?} is not zero");
            ground.write(block.start, n);
            block.start
        };
        let kept: Vec<u64> = (0..1 + random(6)).map(|_| ask(&mut heap, 257 + random(300))).collect();
        heap.free(&ground, kept[0]).expect("a live block");
        heap.flush(&ground);
        let short: Vec<u64> = (0..1 + random(200)).map(|_| ask(&mut heap, 1 + random(3))).collect();
        for start in short {
            heap.free(&ground, start).expect("a live block");
        }
        heap.flush(&ground);
        for _ in 0..4 {
            ask(&mut heap, 257 + random(300));
        }
    }
}

/// Asks for blocks of `n` granules until there is no room, as malloc does: their starts.
fn fill(ground: &Simulated, heap: &mut Heap, n: u64) -> Vec<u64> {
    let mut ask = || {
        heap.allocate(ground, n, 1, false).or_else(|_| {
            heap.flush(ground);
            heap.allocate(ground, n, 1, false)
        })
    };
    core::iter::from_fn(|| ask().ok()).map(|block| block.start).collect()
}

/// The region is filled with blocks of one length, a part of them is freed, and all that is free is had again, for blocks of
/// that length and of others: what lies in slabs is no less free than the rest.
#[test]
fn no_request_fails_as_long_as_there_is_room() {
    for (pages, budget) in [(1, 1), (3, 3), (100, 100), (200, 100)] {
        for n in [1u64, 2, 4, 16] {
            let ground = Simulated::new(pages, budget);
            let mut heap = empty_heap();
            let mut blocks = fill(&ground, &mut heap, n);
            assert_eq!(blocks.len() as u64, budget * 256 / n);
            for round in 1..6 {
                let (freed, kept): (Vec<u64>, Vec<u64>) = blocks.iter().partition(|start| (*start / n * 7 / 3) % round == 0);
                freed.iter().for_each(|start| assert!(heap.free(&ground, *start).is_ok()));
                // First with blocks half as long, which go again.
                if n > 1 {
                    let halves = fill(&ground, &mut heap, n / 2);
                    assert_eq!(halves.len(), 2 * freed.len(), "{pages} pages, blocks of {n}, round {round}");
                    halves.iter().for_each(|start| assert!(heap.free(&ground, *start).is_ok()));
                }
                let new = fill(&ground, &mut heap, n);
                assert_eq!(new.len(), freed.len(), "{pages} pages, blocks of {n}, round {round}");
                blocks = [kept, new].concat();
                check_slabs(&ground, &heap);
            }
        }
    }
}
