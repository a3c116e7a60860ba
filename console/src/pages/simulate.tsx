export function Simulate() { return null; }
