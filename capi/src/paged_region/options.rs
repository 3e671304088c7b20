//! The options of paged_region_create, and what is wrong with them.

use core::ffi::{c_char, c_int, c_void, CStr};
use vmcore::config::MAX_PAGE;
use vmcore::policy::{by_name, Policy, POLICIES};
use vmcore::units::SYSTEM_PAGE;

/// Told of each page that was mapped.
pub type Callback = unsafe extern "C" fn(*mut c_void, c_int, c_int, *mut c_void);

/// struct paged_region_options, field by field.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)] // The header says it.
pub struct Options {
    pub base: *mut c_void,
    pub pages: usize,
    pub page_size: usize,
    pub max_pages: usize,
    pub policy: *const c_char,
    pub protection: c_int,
    pub backing: c_int,
    pub directory: *const c_char,
    pub callback: Option<Callback>,
    pub context: *mut c_void,
}

/// PAGED_READ
pub const READ: c_int = 1;
/// PAGED_WRITE
pub const WRITE: c_int = 2;
/// PAGED_EXEC
pub const EXECUTE: c_int = 4;
/// PAGED_FILES
pub const FILES: c_int = 1;
const MOST_PAGES: usize = 1 << 20;

/// The options, checked.
pub struct Checked {
    /// Who leaves.
    pub policy: &'static dyn Policy,
    /// Bytes of a page.
    pub page: usize,
    /// Of [`READ`], [`WRITE`], [`EXECUTE`].
    pub protection: c_int,
    /// Of swap file or files.
    pub directory: Vec<u8>,
}

/// Why there is no region: in words, and as an error number.
pub type Refusal = (String, c_int);

/// Checks the options as far as that is possible without the system.
pub fn check(options: &Options) -> core::result::Result<Checked, Refusal> {
    let bad = |why: String| (why, libc::EINVAL);
    let page = if options.page_size == 0 { SYSTEM_PAGE } else { options.page_size };
    if !page.is_power_of_two() || !(SYSTEM_PAGE..=MAX_PAGE as usize).contains(&page) {
        return Err(bad(format!("page_size {page} is not a power of two from {SYSTEM_PAGE} to {MAX_PAGE}")));
    }
    if !(1..=MOST_PAGES).contains(&options.pages) {
        return Err(bad(format!("pages {} is not from 1 to {MOST_PAGES}", options.pages)));
    }
    if options.max_pages == 0 {
        return Err(bad("max_pages 0: at least one page must be mapped at a time, better 3".into()));
    }
    if !(options.base as usize).is_multiple_of(page) {
        return Err(bad(format!("base {:?} is not a multiple of the page size {page}", options.base)));
    }
    let protection = if options.protection == 0 { READ | WRITE } else { options.protection };
    if protection & !(READ | WRITE | EXECUTE) != 0 || protection & READ == 0 {
        return Err(bad(format!("protection {protection} is not PAGED_READ (1), with PAGED_WRITE (2) or PAGED_EXEC (4) added")));
    }
    if !matches!(options.backing, 0 | FILES) {
        return Err(bad(format!("backing {} is neither PAGED_SWAP (0) nor PAGED_FILES (1)", options.backing)));
    }
    // SAFETY: null, or a C string, says who calls.
    let name = unsafe { text(options.policy) }.unwrap_or(b"fifo");
    let policy = by_name(name).ok_or_else(|| {
        let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
        bad(format!("policy {} is none of {}", String::from_utf8_lossy(name), names.join(", ")))
    })?;
    // SAFETY: the directory is null or a C string too.
    let directory = unsafe { text(options.directory) }.map(<[u8]>::to_vec);
    let directory =
        directory.or_else(|| std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty()).map(|dir| dir.into_encoded_bytes()));
    Ok(Checked { policy, page, protection, directory: directory.unwrap_or_else(|| b"/tmp".to_vec()) })
}

/// # Safety
/// Null, or a C string that lives as long as the answer is used.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller promises null, or a C string that lives as long as the answer is used.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
