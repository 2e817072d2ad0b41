//! Every kernel on every instruction set of this processor beside the references in double precision, within the
//! errors that its documentation states.

mod attention;
mod compare;
mod numbers;
mod products;
mod rows;
