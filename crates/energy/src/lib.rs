//! Energy, carbon and cost of computing.
