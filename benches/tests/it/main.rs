//! The lab's program as a whole, judged by counts and never by times.

#![cfg(target_os = "linux")]

mod counts;
mod fairness;
mod lab;
mod machine;
mod usage;
