"""Where runs, results, artifacts and versioned data are kept."""
