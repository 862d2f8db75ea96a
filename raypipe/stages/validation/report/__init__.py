"""The data report: what is known of a dataset's rows, as one page, from profiles alone."""
