"""What several test files share: data, finished runs, exports."""
