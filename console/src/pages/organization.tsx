export function WorkspacesPage() { return null; }
export function WorkspacePage() { return null; }
export function OrganizationPage() { return null; }
export function OrganizationTokens() { return null; }
