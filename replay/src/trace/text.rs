//! The formats that are lines of text.

use super::{Format, Reference};
use std::collections::VecDeque;
use vmcore::page::Access;

/// Whether a line says nothing: empty, or a comment.
pub(super) fn is_passed_over(line: &[u8]) -> bool {
    line.first().is_none_or(|first| *first == b'#') || line.trim_ascii().is_empty()
}

/// The references of a line, put behind the others in `into`; none if it is not a line of this format.
#[inline]
pub(super) fn parse(format: Format, line: &[u8], number: u64, page_shift: u32, into: &mut VecDeque<Reference>) -> Option<()> {
    match format {
        Format::Page => {
            let (page, access) = split_at_space(line.trim_ascii())?;
            // Small letters, so that addresses of decimal digits are not taken for page numbers.
            let access = letter(access).filter(|_| access != b"R" && access != b"W")?;
            into.push_back(Reference { page: decimal(page)?, access });
        }
        Format::Pages => into.push_back(Reference { page: decimal(line.trim_ascii())?, access: Access::Read }),
        Format::Address => {
            let (address, access) = split_at_space(line.trim_ascii())?;
            into.push_back(Reference { page: hexadecimal(address)? >> page_shift, access: letter(access)? });
        }
        Format::Lackey => lackey(line, page_shift, into)?,
        Format::LibCacheSimCsv => {
            let mut fields = line.trim_ascii().split(|byte| *byte == b',').map(|field| field.trim_ascii());
            let (time, object, size) = (fields.next()?, fields.next()?, fields.next()?);
            match (decimal(time), decimal(object), decimal(size)) {
                (Some(_), Some(page), Some(_)) => into.push_back(Reference { page, access: Access::Read }),
                // The columns' names.
                (None, None, None) if number == 1 => {}
                _ => return None,
            }
        }
        Format::OracleGeneral => return None,
    }
    Some(())
}

/// ` L 04222d8,8`, ` S 1ffefff8,4`, ` M 0421c7cc,4`, and `I  04000c30,3`, which is passed over with what valgrind says
/// itself.
fn lackey(line: &[u8], page_shift: u32, into: &mut VecDeque<Reference>) -> Option<()> {
    let line = line.trim_ascii_end();
    let accesses: &[Access] = match line.get(..3)? {
        b" L " => &[Access::Read],
        b" S " => &[Access::Write],
        b" M " => &[Access::Read, Access::Write],
        b"I  " | b"==0" | b"==1" | b"==2" | b"==3" | b"==4" | b"==5" | b"==6" | b"==7" | b"==8" | b"==9" => return Some(()),
        _ => return None,
    };
    let comma = line.iter().position(|byte| *byte == b',')?;
    let (first, size) = (hexadecimal(line.get(3..comma)?)?, decimal(line.get(comma + 1..)?)?);
    // No instruction is wider than a page.
    let last = first.checked_add(size.checked_sub(1).filter(|more| *more < 4096)?)?;
    for access in accesses {
        for page in first >> page_shift..=last >> page_shift {
            into.push_back(Reference { page, access: *access });
        }
    }
    Some(())
}

fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ' || *byte == b'\t')?;
    Some((&line[..space], line[space + 1..].trim_ascii_start()))
}

fn letter(text: &[u8]) -> Option<Access> {
    match text {
        b"r" | b"R" => Some(Access::Read),
        b"w" | b"W" => Some(Access::Write),
        _ => None,
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"0x").or(text.strip_prefix(b"0X")).unwrap_or(text);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| Some(number << 4 | u64::from((*byte as char).to_digit(16)?)))
}
