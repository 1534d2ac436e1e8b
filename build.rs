//! How a debug build is linked. The stories start this program some two thousand times; each start of a program that may stand anywhere
//! in memory begins with the mending of 170,000 addresses, which is half of the time until `main`. A release build stands anywhere.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "debug") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg=-no-pie");
    }
}
