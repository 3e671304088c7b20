//! The fault trace: one line of text for each fault and each eviction, in eight columns.
//!
//! | column        | meaning                                                                       |
//! |---------------|-------------------------------------------------------------------------------|
//! | `seq`         | number of the line; a gap means that lines were lost                          |
//! | `time_us`     | microseconds since the start of the program                                   |
//! | `thread`      | the thread that faulted, or that needed the frame                             |
//! | `event`       | the fault kinds and, after `evict_`, the eviction kinds of the statistics     |
//! | `region:page` | the page: whose region, and its number there; `-` for a stray fault           |
//! | `access`      | `r` or `w`; `-` for an eviction                                               |
//! | `frame`       | the frame that holds the page, or held it; `-` if it has none                 |
//! | `slot`        | the swap slot that was read, written or is still valid; `-` if there is none  |
//!
//! The events have the names of the counters, so the counters of a run are the numbers of lines of
//! its trace; the fault lines in order are a reference string that a simulator can replay.
//!
//! Lines are made without `core::fmt`, which may panic: this code runs in the fault handler.
#![forbid(unsafe_code)]

use super::stats::{Counter, Eviction, FaultKind};
use crate::index::{FrameIndex, PageName, PageNumber, RegionNumber, Slot};
use crate::page::Access;

/// The first line of every trace.
pub const HEADER: &str = "# seq time_us thread event region:page access frame slot\n";

/// No line is longer, its newline included.
pub const LINE_MAX: usize = 128;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An access faulted.
    Fault(FaultKind, Access),
    /// A page left memory.
    Eviction(Eviction),
}

impl What {
    /// What counts it.
    pub const fn counter(self) -> Counter {
        match self {
            What::Fault(kind, _) => kind.counter(),
            What::Eviction(kind) => kind.counter(),
        }
    }
}

/// One line of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the line.
    pub seq: u64,
    /// Microseconds since the start of the program.
    pub time_us: u64,
    /// The thread that faulted, or that needed the frame.
    pub thread: u32,
    /// What happened.
    pub what: What,
    /// To which page, unless the address is not ours.
    pub page: Option<PageName>,
    /// The frame that holds the page, or held it.
    pub frame: Option<FrameIndex>,
    /// The swap slot that was read, written or is still valid.
    pub slot: Option<Slot>,
}

const EVICT: &str = "evict_";

impl Line {
    /// Writes the line, newline included, and says how long it is.
    pub fn format(&self, buffer: &mut [u8; LINE_MAX]) -> usize {
        let mut line = Text { buffer, len: 0 };
        line.decimal(self.seq);
        line.text(" ");
        line.decimal(self.time_us);
        line.text(" ");
        line.decimal(u64::from(self.thread));
        line.text(" ");
        if let What::Eviction(_) = self.what {
            line.text(EVICT);
        }
        line.text(self.what.counter().key());
        line.text(" ");
        match self.page {
            Some(PageName { region, page }) => {
                line.decimal(u64::from(region.get()));
                line.text(":");
                line.decimal(page.get());
            }
            None => line.text("-"),
        }
        line.text(match self.what {
            What::Fault(_, Access::Read) => " r",
            What::Fault(_, Access::Write) => " w",
            What::Eviction(_) => " -",
        });
        line.column(self.frame.map(FrameIndex::get));
        line.column(self.slot.map(Slot::get));
        line.text("\n");
        line.len
    }

    /// Reads a line back; `None` for the header and for anything else that is no event.
    pub fn parse(line: &str) -> Option<Line> {
        let mut columns = line.split_ascii_whitespace();
        let seq = columns.next()?.parse().ok()?;
        let time_us = columns.next()?.parse().ok()?;
        let thread = columns.next()?.parse().ok()?;
        let event = columns.next()?;
        let page = optional(columns.next()?, |text| {
            let (region, page) = text.split_once(':')?;
            let (region, page) = (RegionNumber::new(region.parse().ok()?), PageNumber::new(page.parse().ok()?));
            Some(PageName { region, page })
        })?;
        let access = optional(columns.next()?, |text| match text {
            "r" => Some(Access::Read),
            "w" => Some(Access::Write),
            _ => None,
        })?;
        let frame = optional(columns.next()?, |text| text.parse().ok().map(FrameIndex::new))?;
        let slot = optional(columns.next()?, |text| text.parse().ok().map(Slot::new))?;
        let what = match (event.strip_prefix(EVICT), access) {
            (Some(key), None) => What::Eviction(Eviction::ALL.into_iter().find(|kind| kind.counter().key() == key)?),
            (None, Some(access)) => What::Fault(FaultKind::ALL.into_iter().find(|kind| kind.counter().key() == event)?, access),
            _ => return None,
        };
        columns.next().is_none().then_some(Line { seq, time_us, thread, what, page, frame, slot })
    }
}

/// A column that may be `-`; the outer `None` is a bad line.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "-" {
        Some(None)
    } else {
        read(text).map(Some)
    }
}

/// A line in the making. What does not fit is dropped; `LINE_MAX` sees to it that all fits.
struct Text<'b> {
    buffer: &'b mut [u8; LINE_MAX],
    len: usize,
}

impl Text<'_> {
    fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            self.byte(byte);
        }
    }

    /// A space, then the number or `-`.
    fn column(&mut self, number: Option<u32>) {
        self.byte(b' ');
        match number {
            Some(number) => self.decimal(u64::from(number)),
            None => self.byte(b'-'),
        }
    }

    fn decimal(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut unused = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            unused -= 1;
            if rest == 0 {
                break;
            }
        }
        for &digit in digits.iter().skip(unused) {
            self.byte(digit);
        }
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::stats::Counters;
    use proptest::prelude::*;

    fn name(region: u32, page: u64) -> PageName {
        PageName { region: RegionNumber::new(region), page: PageNumber::new(page) }
    }

    fn line(event: &Line) -> String {
        let mut buffer = [0; LINE_MAX];
        let len = event.format(&mut buffer);
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn lines_are_as_documented() {
        let fault = Line {
            seq: 17,
            time_us: 10_423,
            thread: 0,
            what: What::Fault(FaultKind::SwapIn, Access::Write),
            page: Some(name(0, 12)),
            frame: Some(FrameIndex::new(7)),
            slot: Some(Slot::new(41)),
        };
        assert_eq!(line(&fault), "17 10423 0 swap_in 0:12 w 7 41\n");
        let eviction = Line { what: What::Eviction(Eviction::Zero), slot: None, ..fault };
        assert_eq!(line(&eviction), "17 10423 0 evict_zero 0:12 - 7 -\n");
        let stray = Line { what: What::Fault(FaultKind::Stray, Access::Read), page: None, frame: None, slot: None, ..fault };
        assert_eq!(line(&stray), "17 10423 0 stray - r - -\n");
        assert_eq!(HEADER.split_whitespace().count(), 1 + line(&fault).split_whitespace().count());
    }

    #[test]
    fn what_is_no_event_is_not_read() {
        assert!(Line::parse("1 2 3 swap_in 0:1 r 4 5").is_some());
        for text in [
            HEADER,
            "",
            "1 2 3 swap_in 0:1 r 4",
            "1 2 3 swap_in 0:1 r 4 5 6",
            "1 2 3 swap_in 0:1 - 4 5",
            "1 2 3 evict_dirty 0:1 r 4 5",
            "1 2 3 evict_grey 0:1 - 4 5",
            "1 2 3 swap_in 01 r 4 5",
            "-1 2 3 swap_in 0:1 r 4 5",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }

    fn events() -> impl Strategy<Value = Line> {
        let what = prop_oneof![
            (0usize..6, any::<bool>())
                .prop_map(|(kind, write)| What::Fault(FaultKind::ALL[kind], if write { Access::Write } else { Access::Read })),
            (0usize..3).prop_map(|kind| What::Eviction(Eviction::ALL[kind])),
        ];
        let page = proptest::option::of(any::<(u32, u64)>());
        let places = any::<(Option<u32>, Option<u32>)>();
        (any::<(u64, u64, u32)>(), what, page, places).prop_map(|((seq, time_us, thread), what, page, (frame, slot))| Line {
            seq,
            time_us,
            thread,
            what,
            page: page.map(|(region, page)| name(region, page)),
            frame: frame.map(FrameIndex::new),
            slot: slot.map(Slot::new),
        })
    }

    proptest! {
        #[test]
        fn every_event_fits_a_line_and_reads_back(event in events()) {
            let text = line(&event);
            prop_assert!(text.ends_with('\n') && text.len() < LINE_MAX);
            prop_assert_eq!(Line::parse(&text), Some(event));
        }

        /// The counters of a run can be made again from its trace.
        #[test]
        fn lines_count_as_the_counters(events in proptest::collection::vec(events(), 0..50)) {
            let (counted, recounted) = (Counters::new(), Counters::new());
            let mut trace = String::from(HEADER);
            for event in &events {
                counted.count(match event.what {
                    What::Fault(kind, _) => kind.counter(),
                    What::Eviction(kind) => kind.counter(),
                });
                trace += &line(event);
            }
            for event in trace.lines().filter_map(Line::parse) {
                recounted.count(event.what.counter());
            }
            for counter in FaultKind::ALL.map(FaultKind::counter) {
                prop_assert_eq!(counted.get(counter), recounted.get(counter));
            }
            for counter in Eviction::ALL.map(Eviction::counter) {
                prop_assert_eq!(counted.get(counter), recounted.get(counter));
            }
            prop_assert_eq!(recounted.get(Counter::SwapReads), 0);
        }
    }

    #[test]
    fn the_longest_line_fits() {
        let longest = Line {
            seq: u64::MAX,
            time_us: u64::MAX,
            thread: u32::MAX,
            what: What::Fault(FaultKind::FirstTouch, Access::Write),
            page: Some(name(u32::MAX, u64::MAX)),
            frame: Some(FrameIndex::new(u32::MAX)),
            slot: Some(Slot::new(u32::MAX)),
        };
        assert!(line(&longest).len() < LINE_MAX);
    }
}
