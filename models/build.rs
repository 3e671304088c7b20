//! The engine's files say `cfg(loom)` where loom needs it otherwise. It is set for this crate alone.

fn main() {
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed=build.rs");
}
