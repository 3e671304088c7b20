//! How libvmpager.so is linked.

fn main() {
    // It stays once it is loaded: the handler of SIGSEGV, what threads leave behind, and children need it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // So that a program that was linked with the file, not with -lvmpager, finds it like any other.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libvmpager.so");
    println!("cargo::rerun-if-changed=build.rs");
}
