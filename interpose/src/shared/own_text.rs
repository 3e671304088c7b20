//! The executable part of this library: system calls from there pass the guard.

/// Where the executable part begins, and how long it is.
pub fn range() -> Option<(usize, usize)> {
    unsafe extern "C" {
        #[link_name = "__ehdr_start"]
        static HEADER: libc::Elf64_Ehdr;
    }
    // SAFETY: the linker puts the symbol at the beginning of this library's first segment, which holds
    // the program headers too.
    unsafe {
        let base = (&raw const HEADER) as usize;
        let headers = (base + HEADER.e_phoff as usize) as *const libc::Elf64_Phdr;
        (0..HEADER.e_phnum as usize)
            .map(|i| *headers.add(i))
            .find(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)
            .map(|header| (base + header.p_vaddr as usize, header.p_memsz as usize))
    }
}

/// Whether the instruction at `address` is this library's.
pub fn contains(address: usize) -> bool {
    range().is_some_and(|(start, len)| address.wrapping_sub(start) < len)
}
