export function Policies() { return null; }
export function Dashboard() { return null; }
