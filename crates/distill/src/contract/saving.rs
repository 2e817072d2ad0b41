//! What a contract saves.

use attar_bill::Money;
use attar_meter::{Estimate, Joules, KilowattHours, Seconds};
use serde::{Deserialize, Serialize};

use crate::recipe::EnergySpec;
use crate::{Error, billing};

/// What 1,000 texts cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Time, many texts at a time.
    pub milliseconds: f64,
    /// Energy; none where it is not known.
    pub joules: Option<Estimate<Joules>>,
    /// Electricity; none without a price.
    pub money: Option<Money>,
}

impl Cost {
    /// By what was measured and the prices of a machine: electricity, its building's share included, or the machine's
    /// hours where those are priced.
    ///
    /// # Errors
    /// If a region, preset or currency is unknown, or a number is out of range.
    pub fn new(milliseconds: f64, joules: Option<Estimate<Joules>>, prices: &EnergySpec) -> Result<Cost, Error> {
        let (_, tariff) = billing::rates(prices)?;
        let seconds = Seconds::new(milliseconds * 1e-3).map_err(Error::energy)?;
        let electricity = tariff.electricity().zip(joules);
        let electricity = electricity.map(|(price, joules)| KilowattHours::from(joules.value()) * tariff.pue() * price);
        let money = tariff.device_hour().map(|price| seconds * price).or(electricity);
        Ok(Cost { milliseconds, joules, money })
    }
}

/// What 1,000 texts cost by the teacher alone and by the contract.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saving {
    /// The teacher answers all.
    pub teacher: Cost,
    /// The student answers all.
    pub student: Cost,
    /// The student answers first, and the teacher where it is not sure.
    pub contract: Cost,
    /// Share of the teacher's time that is saved; negative where the student costs more than it saves.
    pub time_saved: f64,
    /// Share of the teacher's energy that is saved; none where it is not known.
    pub energy_saved: Option<f64>,
}

impl Saving {
    /// By a share of texts that the student answers alone.
    pub fn new(teacher: Cost, student: Cost, coverage: f64) -> Saving {
        let rest = 1.0 - coverage;
        let joules = |cost: Cost| cost.joules.map(|joules| joules.value().get());
        let share = |teacher: f64, student: f64| if teacher > 0.0 { coverage - student / teacher } else { 0.0 };
        let energy_saved = joules(teacher).zip(joules(student)).map(|(teacher, student)| share(teacher, student));
        let contract = Cost {
            milliseconds: student.milliseconds + rest * teacher.milliseconds,
            // The meter errs alike on both, so the bounds add up.
            joules: teacher.joules.zip(student.joules).map(|(teacher, student)| student + teacher.scaled(rest)),
            money: teacher.money.zip(student.money).and_then(|(teacher, student)| {
                let part = Money::new(teacher.amount() * rest, teacher.currency()).ok()?;
                student.plus(part).ok()
            }),
        };
        Saving {
            teacher,
            student,
            contract,
            time_saved: share(teacher.milliseconds, student.milliseconds),
            energy_saved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(milliseconds: f64, joules: f64) -> Cost {
        let money = Money::new(joules * 1e-7, "EUR".parse().unwrap()).ok();
        Cost { milliseconds, joules: Some(Estimate::exact(Joules::new(joules).unwrap())), money }
    }

    #[test]
    fn machine_hours_stand_in_for_electricity() {
        let joules = Some(Estimate::exact(Joules::new(7.2e6).unwrap()));
        let priced = |price, machine_hour| {
            let pue = Some("1.5".into());
            let spec = EnergySpec { price, machine_hour, pue, currency: Some("EUR".into()), ..EnergySpec::default() };
            Cost::new(3.6e6, joules, &spec).unwrap().money.map(Money::amount)
        };
        assert_eq!(priced(None, None), None);
        // 2 kWh, and half as much for the building.
        assert!((priced(Some(0.3), None).unwrap() - 0.9).abs() < 1e-12);
        assert!((priced(Some(0.3), Some(4.0)).unwrap() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn contract_cost_adds_the_teachers_share() {
        let saving = Saving::new(cost(1000.0, 40.0), cost(100.0, 2.0), 0.75);
        assert_eq!(saving.contract.milliseconds, 350.0);
        assert_eq!(saving.contract.joules.unwrap().value().get(), 12.0);
        assert!((saving.contract.money.unwrap().amount() - 12e-7).abs() < 1e-18);
        assert!((saving.time_saved - 0.65).abs() < 1e-12 && (saving.energy_saved.unwrap() - 0.7).abs() < 1e-12);
        // A student that answers nothing costs more than none.
        assert!((Saving::new(cost(1000.0, 40.0), cost(100.0, 2.0), 0.0).time_saved + 0.1).abs() < 1e-12);
        let unknown = Cost { joules: None, money: None, ..cost(1000.0, 1.0) };
        let saving = Saving::new(unknown, cost(100.0, 2.0), 0.5);
        assert_eq!((saving.energy_saved, saving.contract.joules), (None, None));
    }
}
