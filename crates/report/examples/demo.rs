//! Writes a page with every component to the file named first: `cargo run -p gristmill-report --example demo -- demo.html`.

use std::error::Error;

#[path = "../tests/it/sample.rs"]
mod sample;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to write")?;
    std::fs::write(path, sample::page("Arrival delay, November to December").render())?;
    Ok(())
}
