//! Break-even from bills, in every currency of effort: joules, grams, money.

use attar_bill::{Bill, BillLine, BreakEven, Errors, Grid, PricePerKwh, Tariff, Unit};
use attar_meter::source::Component;
use attar_meter::{Estimate, Joules, Method, Totals};
use attar_testing::assert_close_relative;

use crate::bill::window;

fn bill(watts: f64, hours: f64) -> BillLine {
    let totals = Totals::from_windows(&[window("run", Component::Machine, watts, hours * 3600.0, Method::Modeled)]);
    let price = PricePerKwh::new(0.30, "EUR".parse().unwrap()).unwrap();
    let tariff = Tariff::own_machine().with_electricity(price).unwrap();
    Bill::new(&totals, &Grid::for_region("FR").unwrap(), &tariff).total
}

#[test]
fn joules_grams_and_euros_agree_where_one_grid_and_one_price_make_them() {
    let making = bill(50.0, 10.0);
    let use_of = |line: &BillLine| line.per_unit(&Unit::new("request", 1000.0).unwrap(), 1);
    let (incumbent, replacement) = (use_of(&bill(60.0, 2.0)), use_of(&bill(50.0, 0.2)));
    let joules = making.facility_kwh.unwrap().map(Joules::from);
    let verdicts = |errors| {
        [
            BreakEven::new(joules, incumbent.facility_j.unwrap(), replacement.facility_j.unwrap(), errors).unwrap(),
            BreakEven::new(
                making.carbon_g.unwrap(),
                incumbent.carbon_g.unwrap(),
                replacement.carbon_g.unwrap(),
                errors,
            )
            .unwrap(),
            BreakEven::new(making.money.unwrap(), incumbent.money.unwrap(), replacement.money.unwrap(), errors)
                .unwrap(),
        ]
    };
    // 500 Wh of making; 120 mWh and 10 mWh a request. Each energy is known to a factor of two.
    for even in verdicts(Errors::Shared) {
        let BreakEven::After { uses } = even else { panic!("{even}") };
        for (name, got, expected) in [
            ("value", uses.value(), 500.0 / 0.11),
            ("low", uses.low(), 250.0 / 0.22),
            ("high", uses.high(), 1000.0 / 0.055),
        ] {
            assert_close_relative(name, got.get(), expected, 1e-12);
        }
    }
    for even in verdicts(Errors::Independent) {
        let BreakEven::After { uses } = even else { panic!("{even}") };
        assert_close_relative("low", uses.low().get(), 250.0 / (0.24 - 0.005), 1e-12);
        assert_close_relative("high", uses.high().get(), 1000.0 / (0.06 - 0.02), 1e-12);
    }
}

#[test]
fn a_student_a_quarter_cheaper_is_not_sure_to_repay_itself_by_a_model() {
    let making = bill(50.0, 10.0).carbon_g.unwrap();
    let (incumbent, replacement) = (bill(60.0, 1.0).carbon_g.unwrap(), bill(45.0, 1.0).carbon_g.unwrap());
    let even = BreakEven::new(making, incumbent, replacement, Errors::Independent).unwrap();
    assert!(matches!(even, BreakEven::MayNever { .. }), "{even}");
    assert!(even.to_string().contains("possibly never"), "{even}");
    // A incumbent that cost nothing is repaid never, and nothing to make is repaid at once.
    let none = incumbent.scaled(0.0);
    assert_eq!(BreakEven::new(making, none, replacement, Errors::Shared).unwrap(), BreakEven::Never);
    let gift = Estimate::exact(making.value()).scaled(0.0);
    let even = BreakEven::new(gift, incumbent, replacement, Errors::Shared).unwrap();
    assert_eq!(even.to_string(), "after 0 uses");
}
