//! Expected columns, types and domains, and validation against them.
