"""Reports in the formats of CI systems: GitHub, GitLab, JUnit XML."""
