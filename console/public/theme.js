// Before the first paint, so that the chosen theme does not flash. Without a choice the system's stands.
const chosen = localStorage.getItem("theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
