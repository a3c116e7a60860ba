// Every place of the console, once: the navigation, the palette and the phone's menu read this list.

import {
    Activity,
    AppWindow,
    AtSign,
    BadgeCheck,
    BookOpen,
    Bookmark,
    Building2,
    CalendarClock,
    ChartColumn,
    Database,
    FileText,
    Files,
    Fingerprint,
    FolderSymlink,
    Gavel,
    HardDrive,
    History,
    KeyRound,
    Layers,
    Link,
    ListChecks,
    LogIn,
    Mail,
    Mails,
    MessageSquareText,
    MonitorSmartphone,
    Network,
    Palette,
    ScrollText,
    ShieldCheck,
    SlidersHorizontal,
    Sparkles,
    Upload,
    UserCog,
    UserRound,
    UserRoundPlus,
    Users,
} from "lucide-react";
import type { ComponentType } from "react";
import { demo } from "../demo";
import { REGISTER } from "../standing";

export type Place = {
    path: string;
    label: string;
    icon: ComponentType<{ size?: number }>;
    needs?: string;
    words?: string;
};
export type Group = { title?: string; places: Place[] };

export const groups: Group[] = [
    {
        places: [
            { path: "/", label: "Ask", icon: MessageSquareText, words: "question query sql" },
            {
                path: "/questions",
                label: "Questions",
                icon: Bookmark,
                needs: "prompt.read",
                words: "saved templates glossary words verified",
            },
            { path: "/history", label: "History", icon: History, words: "queries runs" },
        ],
    },
    {
        title: "Data",
        places: [
            {
                path: "/sources",
                label: "Sources",
                icon: Database,
                needs: "datasource.read",
                words: "connect database tables schema",
            },
            { path: "/files", label: "Files", icon: Files, needs: "storage.read", words: "upload storage links" },
        ],
    },
    {
        title: "Governance",
        places: [
            {
                path: "/policies",
                label: "Policies",
                icon: ShieldCheck,
                needs: "policy.read",
                words: "mask row filter limit access",
            },
            {
                path: "/simulate",
                label: "View as someone else",
                icon: UserCog,
                needs: "policy.write",
                words: "simulate preview",
            },
            { path: "/audit", label: "Audit log", icon: ScrollText, needs: "audit.read", words: "events who did what" },
        ],
    },
    {
        title: "People",
        places: [
            { path: "/people", label: "Members", icon: Users, needs: "member.read", words: "users people suspend" },
            { path: "/invitations", label: "Invitations", icon: UserRoundPlus, needs: "member.invite" },
            { path: "/roles", label: "Roles", icon: ListChecks, needs: "role.read", words: "permissions" },
            { path: "/imports", label: "Import", icon: Upload, needs: "user.create", words: "csv scim bulk" },
        ],
    },
    {
        title: "Sign-in",
        places: [
            {
                path: "/sso",
                label: "Single sign-on",
                icon: LogIn,
                needs: "sso.read",
                words: "okta entra saml oidc provider",
            },
            { path: "/provisioning", label: "Provisioning", icon: Network, needs: "sso.read", words: "scim sync" },
            {
                path: "/enforcement",
                label: "Enforcement",
                icon: Gavel,
                needs: "sso.manage",
                words: "require mfa sso migration",
            },
            {
                path: "/access",
                label: "Access policies",
                icon: Fingerprint,
                needs: "sso.read",
                words: "abac attributes conditions cedar",
            },
        ],
    },
    {
        title: "Organization",
        places: [
            { path: "/workspaces", label: "Workspaces", icon: Layers, needs: "workspace.read" },
            {
                path: "/organization",
                label: "Settings",
                icon: Building2,
                needs: "organization.read",
                words: "password policy domains networks models planners",
            },
            {
                path: "/organization/applications",
                label: "Applications",
                icon: AppWindow,
                needs: "oauth_app.read",
                words: "oauth openid client secret sign in with",
            },
            {
                path: "/organization/tokens",
                label: "Tokens",
                icon: KeyRound,
                needs: "token.read",
                words: "personal access tokens organization",
            },
        ],
    },
];

/** What is reached through the person's menu and the palette. */
export const others: Place[] = [
    { path: "/me", label: "Profile", icon: UserRound, words: "name e-mail account me" },
    {
        path: "/me/security",
        label: "Password and two-factor",
        icon: ShieldCheck,
        words: "mfa totp backup codes passkey security",
    },
    {
        path: "/me/sessions",
        label: "Sessions and devices",
        icon: MonitorSmartphone,
        words: "sign out logout devices trusted",
    },
    {
        path: "/me/applications",
        label: "Connected applications",
        icon: AppWindow,
        words: "oauth consent disconnect allowed",
    },
    { path: "/me/tokens", label: "My tokens", icon: KeyRound, words: "personal access token api" },
    {
        path: "/sources/new",
        label: "Connect a source",
        icon: Database,
        needs: "datasource.write",
        words: "new add database postgres",
    },
    {
        path: "/questions/schedules",
        label: "Schedules",
        icon: CalendarClock,
        needs: "prompt.read",
        words: "scheduled daily weekly by itself mail webhook",
    },
    {
        path: "/questions/templates",
        label: "Templates",
        icon: FileText,
        needs: "prompt.read",
        words: "parameters values placeholders",
    },
    {
        path: "/questions/templates/new",
        label: "New template",
        icon: FileText,
        needs: "prompt.write",
        words: "add question parameters",
    },
    {
        path: "/questions/words",
        label: "Glossary",
        icon: BookOpen,
        needs: "prompt.read",
        words: "glossary words terms synonyms",
    },
    {
        path: "/questions/verified",
        label: "Verified answers",
        icon: BadgeCheck,
        needs: "prompt.write",
        words: "confirm trusted sql",
    },
    {
        path: "/questions/meaning",
        label: "Semantic layer",
        icon: BookOpen,
        needs: "prompt.read",
        words: "meaning metrics joins synonyms descriptions",
    },
    {
        path: "/questions/numbers",
        label: "Usage of questions",
        icon: ChartColumn,
        needs: "prompt.read",
        words: "analytics usage statistics",
    },
    { path: "/policies/new", label: "New policy", icon: ShieldCheck, needs: "policy.write", words: "add mask filter" },
    {
        path: "/policies/dashboard",
        label: "Policy activity",
        icon: Activity,
        needs: "policy.read",
        words: "dashboard evaluations",
    },
    {
        path: "/policies/tokens",
        label: "Reveal tokens",
        icon: KeyRound,
        needs: "policy.detokenize",
        words: "detokenize unmask values",
    },
    { path: "/roles/new", label: "New role", icon: ListChecks, needs: "role.create", words: "add permissions" },
    {
        path: "/organization?tab=domains",
        label: "Mail domains",
        icon: AtSign,
        needs: "organization.read",
        words: "verify dns claim",
    },
    {
        path: "/organization?tab=security",
        label: "Security policy",
        icon: ShieldCheck,
        needs: "organization.update",
        words: "password rules sessions networks mfa",
    },
    {
        path: "/organization?tab=sign-in",
        label: "Sign-in page",
        icon: Palette,
        needs: "organization.update",
        words: "branding theme colour logo",
    },
    {
        path: "/organization?tab=models",
        label: "Models",
        icon: Sparkles,
        needs: "organization.update",
        words: "planner llm ai",
    },
    {
        path: "/organization/applications?tab=policy",
        label: "Application policy",
        icon: AppWindow,
        needs: "oauth_app.read",
        words: "consent oauth policy",
    },
    {
        path: "/organization/applications/new",
        label: "Register an application",
        icon: AppWindow,
        needs: REGISTER,
        words: "new oauth client",
    },
    { path: "/files?tab=links", label: "File links", icon: Link, needs: "storage.read", words: "share download" },
    {
        path: "/files?tab=shares",
        label: "Shared folders",
        icon: FolderSymlink,
        needs: "storage.read",
        words: "workspace files",
    },
    { path: "/files/usage", label: "Storage usage", icon: HardDrive, needs: "storage.read", words: "quota people" },
    { path: "/operator", label: "Server health", icon: SlidersHorizontal, words: "operator metrics jobs" },
    ...(demo()
        ? [
              {
                  path: "/operator/mails",
                  label: "Demo mailbox",
                  icon: Mails,
                  words: "mailbox inbox sent links codes",
              },
          ]
        : []),
    { path: "/welcome", label: "Create an organization", icon: Building2, words: "new tenant" },
    { path: "/invited", label: "My invitations", icon: Mail, words: "join organization" },
];

/** Pages of the server itself, which open beside the console. */
export const documents: Place[] = [
    { path: "/docs", label: "API documentation", icon: BookOpen, words: "openapi swagger" },
    { path: "/openapi.json", label: "OpenAPI document", icon: FileText },
    {
        path: "/oauth/device",
        label: "Connect a device",
        icon: MonitorSmartphone,
        words: "code television terminal cli",
    },
];

/** The place that a page belongs to: its own, or the nearest one above it. */
export function placeAt(path: string): Place | undefined {
    if (path === "") return undefined;
    const places = [...groups.flatMap((group) => group.places), ...others];
    return places.find((place) => place.path === path) ?? placeAt(path.slice(0, path.lastIndexOf("/")));
}
