//! Migrations are embedded: a new one makes this crate new.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
