//! What the argument of an ioctl is: modern numbers say so in their bits, older ones are listed.
#![forbid(unsafe_code)]

use vmcore::trace::Access;

/// The third argument of an ioctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Not a pointer.
    Number,
    /// A pointer to so many bytes.
    Bytes(usize, Access),
    /// A pointer to so many bytes that begin with a length and a pointer to a buffer of that length.
    List(usize),
    /// Not known.
    Unknown,
}

/// Numbers from before `_IOC`: first, last, size, and whether the kernel only reads.
const OLD: &[(u32, u32, u16, bool)] = &[
    (0x5401, 0x5401, 60, false),  // TCGETS (struct termios as libc sees it)
    (0x5402, 0x5404, 60, true),   // TCSETS, TCSETSW, TCSETSF
    (0x5405, 0x5405, 18, false),  // TCGETA
    (0x5406, 0x5408, 18, true),   // TCSETA…
    (0x540f, 0x540f, 4, false),   // TIOCGPGRP
    (0x5410, 0x5410, 4, true),    // TIOCSPGRP
    (0x5411, 0x5411, 4, false),   // TIOCOUTQ
    (0x5412, 0x5412, 1, true),    // TIOCSTI
    (0x5413, 0x5413, 8, false),   // TIOCGWINSZ
    (0x5414, 0x5414, 8, true),    // TIOCSWINSZ
    (0x5415, 0x5415, 4, false),   // TIOCMGET
    (0x5416, 0x5418, 4, true),    // TIOCMBIS, TIOCMBIC, TIOCMSET
    (0x5419, 0x5419, 4, false),   // TIOCGSOFTCAR
    (0x541a, 0x541a, 4, true),    // TIOCSSOFTCAR
    (0x541b, 0x541b, 4, false),   // FIONREAD
    (0x541e, 0x541f, 128, false), // TIOCGSERIAL, TIOCSSERIAL
    (0x5420, 0x5421, 4, true),    // TIOCPKT, FIONBIO
    (0x5423, 0x5423, 4, true),    // TIOCSETD
    (0x5424, 0x5424, 4, false),   // TIOCGETD
    (0x5429, 0x5429, 4, false),   // TIOCGSID
    (0x5452, 0x5452, 4, true),    // FIOASYNC
    (0x5456, 0x5457, 60, false),  // TIOCGLCKTRMIOS, TIOCSLCKTRMIOS
    (0x5460, 0x5460, 8, false),   // FIOQSIZE
    (0x8901, 0x8902, 4, true),    // FIOSETOWN, SIOCSPGRP
    (0x8903, 0x8905, 4, false),   // FIOGETOWN, SIOCGPGRP, SIOCATMARK
    (0x8906, 0x8907, 16, false),  // SIOCGSTAMP, SIOCGSTAMPNS
    (0x890b, 0x890d, 120, true),  // SIOCADDRT, SIOCDELRT, SIOCRTMSG
    (0x8910, 0x8911, 40, false),  // SIOCGIFNAME, SIOCSIFLINK
    (0x8913, 0x8945, 40, false),  // SIOCGIFFLAGS …: struct ifreq
    (0x8947, 0x8949, 40, false),  // SIOCGMIIPHY …
    (0x8953, 0x8955, 68, false),  // SIOCDARP, SIOCGARP, SIOCSARP
    (0x301, 0x301, 8, false),     // HDIO_GETGEO
    (0x1260, 0x1260, 8, false),   // BLKGETSIZE
    (0x1263, 0x1263, 8, false),   // BLKRAGET
    (0x125e, 0x125e, 4, false),   // BLKROGET
    (0x1268, 0x1268, 4, false),   // BLKSSZGET
    (0x1278, 0x127c, 4, false),   // BLKIOMIN … BLKDISCARDZEROES
    (1, 1, 4, false),             // FIBMAP
    (2, 2, 4, false),             // FIGETBSZ
];

/// Numbers without argument, or whose argument is a number.
const NUMBERS: &[u32] = &[0x5409, 0x540a, 0x540b, 0x540c, 0x540d, 0x540e, 0x5422, 0x5425, 0x5427, 0x5428, 0x5450, 0x5451, 0x1277];

/// What the argument of ioctl `number` is.
pub fn argument(number: u32) -> Argument {
    if NUMBERS.contains(&number) {
        return Argument::Number;
    }
    if number == 0x8912 {
        return Argument::List(16); // SIOCGIFCONF
    }
    if number == 0x8946 {
        return Argument::Unknown; // SIOCETHTOOL: nested by command
    }
    let old = OLD.iter().find(|(first, last, ..)| (*first..=*last).contains(&number));
    if let Some((.., size, reads)) = old {
        return Argument::Bytes(*size as usize, if *reads { Access::Read } else { Access::Write });
    }
    // _IOC: direction in bits 30-31 (1: the kernel reads, 2: it writes), size in bits 16-29.
    let size = (number >> 16 & 0x3fff) as usize;
    match number >> 30 {
        1 if size != 0 => Argument::Bytes(size, Access::Read),
        2 | 3 if size != 0 => Argument::Bytes(size, Access::Write),
        _ => Argument::Unknown,
    }
}
