export function Profile() { return null; }
export function Security() { return null; }
export function SessionsPage() { return null; }
export function MyTokens() { return null; }
export function Invited() { return null; }
