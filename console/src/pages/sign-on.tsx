export function Providers() { return null; }
export function Setup() { return null; }
export function Provider() { return null; }
export function Scim() { return null; }
export function Enforcement() { return null; }
