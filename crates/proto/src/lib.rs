//! Generated code of the service contracts, and conversions to the nouns of gristmill-types.
