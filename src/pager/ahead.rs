//! Read-ahead: a page that comes back from its slot brings its neighbours along, in one read.
//!
//! Neighbours are pages next to it whose slots lie next to its slot, as they do when they left together. They take free frames
//! only, and enter with R = 0: the first to leave if nobody uses them.
//!
//! How many come is learned. Of every few clusters one is *watched*: its pages stay closed (`AHEAD`), so the first touch of
//! each is a fault that shows its use, and leaving untouched shows the contrary. The others are open for loads, and cost no
//! fault. The more of the watched are used, the larger the window; with too few it closes, but for a trial now and then.
#![forbid(unsafe_code)]

use super::bits::LiveBits;
use super::place::Place;
use crate::engine::Engine;
use crate::events::{Event, Who};
use crate::index::{FrameIndex, PageNumber, Slot};
use crate::mapper::protection;
use crate::page::table::GROUP_PAGES;
use crate::page::{Access, Pte, State, Token};
use crate::policy::Arrival;
use crate::sys::thread::Quiet;
use crate::sys::Result;

/// Pages that come with one, at the most.
pub(crate) const MOST: usize = crate::learning::MOST as usize;
/// A page that comes along.
struct Companion {
    page: PageNumber,
    token: Token<'static>,
    frame: FrameIndex,
}

/// A page that is about to be read, and the neighbours that come along.
pub(crate) struct Cluster {
    place: Place,
    companions: [Option<Companion>; MOST],
    /// Where the slots from `first` on are read to.
    frames: [usize; MOST + 1],
    first: Slot,
    n: usize,
    watched: bool,
}

impl Engine {
    /// The page whose slot is `slot` is about to be read to `frame`: who comes along. Their tokens are held from now on.
    pub(crate) fn gather(
        &'static self,
        place: &Place,
        page: PageNumber,
        slot: Slot,
        frame: FrameIndex,
        quiet: &Quiet,
    ) -> Cluster {
        let mut cluster = Cluster {
            place: *place,
            companions: [const { None }; MOST],
            frames: [0; MOST + 1],
            first: slot,
            n: 0,
            watched: false,
        };
        cluster.add(frame);
        if self.is_exact() || place.store().is_some() {
            return cluster;
        }
        let (window, watched) = self.read_ahead().plan();
        cluster.watched = watched;
        // Frames at hand, neighbours where possible, so that the companions can be shown with few calls.
        let mut hand = None;
        for i in 1..=window {
            let Some(token) = claim_neighbour(place, page + i as u64, slot.plus(i as u32)) else {
                break;
            };
            let more = || self.frames().take_run((window + 1 - i) as u64, quiet);
            let Some((frame, n)) = hand.or_else(more) else {
                token.give_back();
                break;
            };
            hand = (n > 1).then_some((frame.plus(1), n - 1));
            cluster.add(frame);
            if let Some(room) = cluster.companions.get_mut(i - 1) {
                *room = Some(Companion { page: page + i as u64, token, frame });
            }
        }
        hand.into_iter().for_each(|(first, n)| self.frames().give(first, n, quiet));
        cluster
    }
}

/// The token of the page if it lies in that slot.
fn claim_neighbour(place: &Place, page: PageNumber, slot: Slot) -> Option<Token<'static>> {
    if page.get() >= place.region.groups() * GROUP_PAGES {
        return None;
    }
    let entry = place.entry(page);
    let pte = entry.load();
    let joins = pte.state() == State::Swapped && pte.slot() == slot && !pte.forbids(Access::Read);
    joins.then(|| entry.begin(pte, State::Filling)).flatten()
}

impl Cluster {
    fn add(&mut self, frame: FrameIndex) {
        if let Some(room) = self.frames.get_mut(self.n) {
            *room = self.place.engine.frames().arena().view(frame);
            self.n += 1;
        }
    }

    /// Reads all of it.
    pub(crate) fn read(&self, who: &Who) -> Result<()> {
        let pages = self.frames.get(..self.n).unwrap_or(&[]);
        self.place.load_run(self.first, pages, who)
    }

    /// The cluster could not be read, or its page not be shown: the companions stay where they were.
    pub(crate) fn give_back(self, quiet: &Quiet) {
        for companion in self.companions.into_iter().flatten() {
            self.place.engine.frames().give(companion.frame, 1, quiet);
            companion.token.give_back();
        }
    }

    /// Shows the companions: closed if they are watched, else open for loads. Those in neighbouring frames take one call; if
    /// the kernel refuses it, they stay in their slots.
    pub(crate) fn show(mut self, quiet: &Quiet, who: &Who) {
        let (place, watched) = (self.place, self.watched);
        let mut shown = 0;
        let mut at = 0;
        while let Some(n) = self.run_from(at) {
            let run = self.companions.get_mut(at..at + n).unwrap_or(&mut []);
            shown += show_run(&place, run, watched, quiet);
            at += n;
        }
        if shown > 0 {
            place.engine.emit(who, &Event::ReadAhead { pages: shown, watched }, None);
        }
    }

    /// How many companions from `at` on lie in neighbouring frames, on the same terms.
    fn run_from(&self, at: usize) -> Option<usize> {
        let first = self.companions.get(at)?.as_ref()?;
        let joins = |(i, next): &(usize, &Option<Companion>)| {
            next.as_ref().is_some_and(|next| next.frame == first.frame.plus(*i as u32) && next.terms() == first.terms())
        };
        Some(self.companions.iter().skip(at).enumerate().take_while(joins).count())
    }
}

impl Companion {
    fn terms(&self) -> u64 {
        self.token.was().0 & Pte::TERMS
    }
}

/// Shows companions in neighbouring frames: how many.
fn show_run(place: &Place, run: &mut [Option<Companion>], watched: bool, quiet: &Quiet) -> u64 {
    let Some(Some(first)) = run.first() else {
        return 0;
    };
    let engine = place.engine;
    let flags = if watched { Pte::AHEAD } else { Pte::READ };
    let open = protection(Pte::resident(first.frame, flags).with_terms_of(first.token.was()));
    let pages = place.pages_from(first.page, run.len() as u64);
    let done = place.show_run(&pages, first.frame, open).is_ok();
    for Companion { page, token, frame } in run.iter_mut().filter_map(Option::take) {
        if !done {
            engine.frames().give(frame, 1, quiet);
            token.give_back();
            continue;
        }
        let was = token.was();
        engine.frames().frame(frame).set_copy(Some(was.slot()));
        let mut bits = LiveBits::new(engine, false);
        engine.frames().enter(frame, place.page_address(page), Arrival::MappedAhead, &mut bits, quiet);
        token.finish(Pte::resident(frame, flags).with_terms_of(was));
    }
    if done {
        pages.n
    } else {
        0
    }
}
