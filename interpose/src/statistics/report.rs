//! What is written: the short table, or the file of statistics, from the counts of engine and threads.

use super::output::{Output, To};
use super::STATS;
use crate::shared::{descriptors, engine, gauges, thread};
use core::sync::atomic::Ordering;
use vmcore::config::Config;
use vmcore::engine::Engine;
use vmcore::heap::Ground;
use vmcore::pte::State;
use vmcore::report::say;
use vmcore::stats::{write_json, write_table, FrameGauges, Report, SwapGauges, ThreadReport, Totals};
use vmcore::sys::{file, thread as sys};

/// The short table on stderr.
pub fn print_table() {
    if let (Some(engine), Some(config)) = (engine::get(), engine::config()) {
        with_report(engine, config, |report| {
            let mut out = Output::new(To::File(descriptors::table()));
            let _ = write_table(report, &mut out);
            let _ = out.finish();
        });
    }
}

/// Writes the file of statistics.
pub fn write_file(engine: &'static Engine, config: &Config<'static>) {
    let Some(template) = STATS.get() else {
        return;
    };
    with_report(engine, config, |report| {
        let mut out = Output::new(To::Later(template));
        let _ = write_json(report, thread_reports(engine), &mut out);
        match out.finish() {
            Some(fd) => file::close(fd),
            None => say(format_args!("cannot write the statistics to {template}")),
        }
    });
}

fn thread_reports(engine: &'static Engine) -> impl Iterator<Item = ThreadReport> {
    thread::all().filter(|thread| !thread.has_left()).map(move |thread| {
        let (mut resident, mut swapped) = (0, 0);
        let number = thread.number.load(Ordering::Relaxed);
        let own = engine.places().find(|place| place.region.owner.load(Ordering::Relaxed) == number + 1);
        if let Some(place) = own {
            for page in 0..(place.backed_groups() * 64).min(place.pages()) {
                match place.page(page).pte().state() {
                    State::Resident => resident += 1,
                    State::Swapped => swapped += 1,
                    _ => {}
                }
            }
        }
        let mut totals = Totals::new();
        totals.add(&thread.counters);
        ThreadReport { id: u64::from(number), resident, swapped, totals }
    })
}

fn with_report(engine: &'static Engine, config: &Config<'static>, work: impl FnOnce(&Report<'_>)) {
    for thread in thread::all() {
        // Only approximately: the others may be at it.
        gauges::note_bytes(0);
        if thread::current().is_some_and(|own| core::ptr::eq(own, thread)) {
            thread.report_bytes();
        }
    }
    let mut totals = Totals::new();
    totals.add(&engine.counters);
    for thread in thread::all() {
        totals.add(&thread.counters);
    }
    let layout = *engine.arena().layout();
    let usage = engine.usage();
    let fixed = u64::from(layout.frames - layout.first_shared) + u64::from(layout.first_pool);
    let growing = u64::from(engine.gauges.bookkeeping.load(Ordering::Relaxed));
    let peak = u64::from(engine.gauges.resident_peak.load(Ordering::Relaxed));
    let resident = u64::from(usage.frames_used).saturating_sub(fixed + growing);
    let mut name = [0; 256];
    let len = program_name(&mut name);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        pid: sys::process_id(),
        program: name.get(..len).unwrap_or(b""),
        threads: gauges::threads(),
        config,
        frames: FrameGauges {
            total: u64::from(layout.frames),
            bookkeeping: u64::from(layout.first_pool) + growing,
            shared: u64::from(layout.frames - layout.first_shared),
            resident,
            resident_peak: peak.saturating_sub(fixed + growing).max(resident),
        },
        swap: SwapGauges {
            slots: u64::from(layout.slots),
            used: u64::from(usage.slots_used),
            used_peak: u64::from(usage.slots_peak),
        },
        malloc_bytes_peak: gauges::bytes_peak(),
        totals,
    };
    work(&report);
}

/// The name of the running program, as the kernel keeps it.
fn program_name(room: &mut [u8]) -> usize {
    let Ok(fd) = file::open(c"/proc/self/comm", libc::O_RDONLY, 0) else {
        return 0;
    };
    let len = file::read(fd, room).unwrap_or(0);
    file::close(fd);
    len.saturating_sub(1)
}
