//! What there is to a call beside its memory, by the family that the table says: calls that change what the guard stands
//! on, structures that the kernel keeps writing to, children, the end of a thread.

use super::verdict::Verdict;
use super::{futex, signals};
use crate::births::{clone, exec};
use crate::guard::PR_SET_SYSCALL_USER_DISPATCH;
use crate::shared::thread::Thread;
use crate::shared::ucontext::Ucontext;
use crate::statistics;
use crate::syscalls::execution::is_zero_copy;
use crate::syscalls::own::{descriptors, mappings};
use crate::syscalls::pins::slots::{Ending, Slot};
use crate::syscalls::shapes::Shape;
use crate::syscalls::table::{Call, Family, Way};
use crate::syscalls::transfers::splice;
use crate::syscalls::{kept, requests};
use vmcore::engine::Engine;
use vmcore::sys::file;

/// What happens before a call is made.
pub fn before(
    thread: &'static Thread,
    engine: &'static Engine,
    context: &mut Ucontext,
    slot: &mut Slot,
    call: &'static Call,
) -> Verdict {
    let [a, b, c, d, ..] = slot.args;
    let answered = |answer: Option<isize>| answer.map_or(Verdict::Go(call.way), Verdict::Done);
    match call.family {
        Family::Plain | Family::Moves(_) | Family::Messages => {}
        Family::Mapping => return answered(mappings::answer(engine, slot.number, slot.args)),
        Family::Descriptor => return answered(descriptors::answer(engine, slot.number, [a, b, c])),
        Family::SizeLimit => file::expect_size_limit(),
        Family::SignalAction => return Verdict::Done(signals::action(engine, [a, b, c, d])),
        Family::SignalMask => return Verdict::Done(signals::change_mask(thread, engine, context, [a, b, c, d])),
        Family::SignalReturn => return signals::go_back(thread, engine, context, slot),
        Family::AlternateStack => return Verdict::Done(signals::alternate_stack(engine, context, [a, b])),
        Family::Set(arg) => return signals::without_ours(engine, slot, arg, call.way),
        Family::SetPair => return without_ours_in_pair(engine, slot, call),
        Family::Child => return clone::begin(thread, engine, context, slot).map_or(Verdict::Left, Verdict::Done),
        Family::Exec => return exec::execute(thread, context, slot, call).map_or(Verdict::Go(call.way), Verdict::Done),
        Family::ThreadEnd => {
            if slot.number == libc::SYS_exit_group {
                // A program that ends by its own instruction: nobody has written yet.
                statistics::finish();
            }
            if let Some(slots) = thread.guard().slots() {
                slots.clear();
            }
            kept::keep_robust_list(engine);
        }
        Family::Requests => {
            if slot.number == libc::SYS_io_submit {
                requests::submit(engine, slot);
            }
            slot.ending = Ending::Requests;
            slot.finish = true;
            return without_ours_in_pair(engine, slot, call);
        }
        Family::Kept => kept::keep(engine, &slot.args, call.shapes),
        Family::Futex => return futex::before(engine, slot),
        Family::Splice => return splice::splice_memory(engine, slot).map_or_else(Verdict::Done, |()| Verdict::Go(call.way)),
        Family::Ioctl if b as u32 == mappings::UFFDIO_REGISTER => {
            return mappings::watch(engine, c).map_or(Verdict::Go(Way::Soon), Verdict::Done);
        }
        Family::Ioctl => {}
        // Syscall User Dispatch is taken.
        Family::Prctl if a == PR_SET_SYSCALL_USER_DISPATCH => return Verdict::Done(-(libc::EINVAL as isize)),
        Family::Prctl => {}
        // The kernel would keep buffers for as long as it likes: programs have another way, and take it.
        Family::SocketOption if is_zero_copy([b, c]) => return Verdict::Done(-(libc::ENOPROTOOPT as isize)),
        Family::SocketOption => {}
        Family::Refused => return Verdict::Done(-(libc::ENOSYS as isize)),
    }
    Verdict::Go(call.way)
}

/// The set of a call that has one in a pair never holds our signals.
fn without_ours_in_pair(engine: &'static Engine, slot: &mut Slot, call: &'static Call) -> Verdict {
    match call.argument(Shape::MaskPair) {
        Some(arg) => signals::pair_without_ours(engine, slot, arg),
        None => Verdict::Go(call.way),
    }
}
