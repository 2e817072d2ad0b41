//! The job of a batch system that a meter runs in, so that the ledgers of its ranks are known to belong
//! together.

use serde::{Deserialize, Serialize};

/// A job and the rank in it. Names of hosts, users and accounts are never looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The batch system: `slurm`, `pbs`, `lsf`, or `mpi` for ranks without one.
    pub scheduler: String,
    /// Its number of the job; absent for ranks without a batch system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which of its processes, as the launcher or the batch system numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<u32>,
}

/// Batch systems, the variable that holds their job's number, and those of rank and number of ranks.
const SCHEDULERS: [(&str, &str, &str, &str); 3] = [
    ("slurm", "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS"),
    ("pbs", "PBS_JOBID", "PBS_TASKNUM", "PBS_NP"),
    ("lsf", "LSB_JOBID", "LSF_PM_TASKID", "LSB_DJOB_NUMPROC"),
];
/// Variables of rank and number of ranks by launchers of MPI.
const LAUNCHERS: [(&str, &str); 2] = [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")];
/// No batch system has longer numbers.
const LONGEST_ID: usize = 100;

impl Job {
    /// The job that this process runs in, as its environment tells.
    pub fn from_env() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The job that an environment tells of.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.trim().parse::<u32>().ok();
        // What a launcher says of ranks is nearer to the process than what the batch system says.
        let launched = LAUNCHERS.iter().find_map(|(rank, ranks)| Some((number(rank)?, number(ranks))));
        let sound = |id: &String| {
            let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']');
            !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(letter)
        };
        for (scheduler, id, rank, ranks) in SCHEDULERS {
            let Some(id) = variable(id).filter(sound) else { continue };
            let (rank, ranks) = match launched {
                Some((rank, ranks)) => (Some(rank), ranks),
                None => (number(rank), number(ranks)),
            };
            return Some(Self { scheduler: scheduler.to_owned(), id: Some(id), rank, ranks });
        }
        let (rank, ranks) = launched?;
        Some(Self { scheduler: "mpi".to_owned(), id: None, rank: Some(rank), ranks })
    }

    /// Whether the other is another rank of the same job.
    pub fn is_other_rank_of_same_job(&self, other: &Self) -> bool {
        self.id.is_some() && (&self.scheduler, &self.id) == (&other.scheduler, &other.id) && self.rank != other.rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(variables: &[(&str, &str)]) -> Option<Job> {
        Job::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn jobs_and_ranks_are_read_off_the_environment() {
        let slurm = job(&[("SLURM_JOB_ID", "4711"), ("SLURM_PROCID", "3"), ("SLURM_NTASKS", "8")]).unwrap();
        assert_eq!((slurm.scheduler.as_str(), slurm.id.as_deref()), ("slurm", Some("4711")));
        assert_eq!((slurm.rank, slurm.ranks), (Some(3), Some(8)));
        // Within a job, the launcher's ranks.
        let launched =
            job(&[("PBS_JOBID", "12.server"), ("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2")]).unwrap();
        assert_eq!((launched.rank, launched.ranks, launched.scheduler.as_str()), (Some(1), Some(2), "pbs"));
        assert_eq!(job(&[("PMI_RANK", "0")]).unwrap().scheduler, "mpi");
        assert_eq!(job(&[]), None);
        for bad in ["", "a b", "\u{1b}[31m", &"1".repeat(101)] {
            assert_eq!(job(&[("SLURM_JOB_ID", bad)]), None, "{bad:?}");
        }
    }

    #[test]
    fn ranks_of_one_job_belong_together() {
        let rank = |id: &str, rank: &str| job(&[("SLURM_JOB_ID", id), ("SLURM_PROCID", rank)]).unwrap();
        assert!(rank("1", "0").is_other_rank_of_same_job(&rank("1", "1")));
        assert!(
            !rank("1", "0").is_other_rank_of_same_job(&rank("1", "0"))
                && !rank("1", "0").is_other_rank_of_same_job(&rank("2", "1"))
        );
        let mpi = job(&[("PMI_RANK", "0")]).unwrap();
        assert!(
            !mpi.is_other_rank_of_same_job(&job(&[("PMI_RANK", "1")]).unwrap()),
            "whose ranks these are is not known"
        );
    }
}
