export function People() { return null; }
export function Person() { return null; }
export function InvitationsPage() { return null; }
export function Imports() { return null; }
