export function RolesPage() { return null; }
export function NewRole() { return null; }
export function RolePage() { return null; }
