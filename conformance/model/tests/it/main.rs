//! Each rule of the judge refuses a wrong history and passes the right one beside it.

mod delivery;
mod rules;
mod script;
mod tolerance;
