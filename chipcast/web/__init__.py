"""The same questions in the browser and over HTTP: forms, pages, an interface for programs."""
