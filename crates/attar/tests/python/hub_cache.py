"""What huggingface_hub finds in a cache, as JSON: the snapshot of owner/tiny, fetched if it is not there, and all repositories."""
import json

from huggingface_hub import scan_cache_dir, snapshot_download

snapshot = snapshot_download("owner/tiny")
info = scan_cache_dir()
repos = [
    {
        "id": repo.repo_id,
        "refs": sorted(repo.refs),
        "files": sum(len(revision.files) for revision in repo.revisions),
    }
    for repo in info.repos
]
print(json.dumps({"snapshot": snapshot, "warnings": len(info.warnings), "repos": repos}))
